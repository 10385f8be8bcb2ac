/** A checkpoint file as a network that can be evaluated, pruned and saved again. */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import type { RunEvent } from "@secateur/core";
import {
  assertFiniteTensors,
  type Checkpoint,
  cleanCheckpoint,
  decodeCheckpoint,
  detectFormat,
  readFileBytes,
  toFloat32,
} from "@secateur/formats";
import { createNetwork, type Network } from "@secateur/nn";
import { isPacked, packedCheckpoint } from "../pack/packed-checkpoint.ts";
import { type ResolvedArchitecture, resolveArchitecture } from "./architectures.ts";
import { findFormat, pluginCheckpoint } from "./find-format.ts";

/** An opened checkpoint. */
export interface OpenedModel {
  /** Absolute path. */
  readonly path: string;
  readonly architecture: ResolvedArchitecture;
  readonly network: Network;
  /** What the file said beside its tensors. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Of the whole file, hexadecimal. */
  readonly sha256: string;
}

/**
 * Opens a checkpoint as a network.
 *
 * @param spec.path - absolute
 * @param spec.arch - what --arch says
 * @param spec.cwd - the folder from which plugins are looked for; default: that of the file
 * @param spec.onEvent - told what the user should know of how the file was read
 * @throws the file errors of formats, ERR_ARCHITECTURE, ERR_UNKNOWN_NAME, ERR_WEIGHTS_MISMATCH, ERR_NOT_FINITE
 */
export async function openModel(spec: {
  path: string;
  arch: string | undefined;
  onEvent: (event: RunEvent) => void;
  cwd?: string;
}): Promise<OpenedModel> {
  const { path, arch, onEvent, cwd = dirname(path) } = spec;
  const { checkpoint, sha256 } = await readModelFile(path, cwd);
  const { tensors, metadata, notes = [] } = checkpoint;
  for (const note of notes) onEvent({ type: "note", level: "info", code: "checkpoint", message: `${path}: ${note}` });
  const architecture = await resolveArchitecture({ flag: arch, path, tensors, metadata, from: cwd });
  assertFiniteTensors(tensors, path);
  const weights = tensors.map((tensor) => ({ name: tensor.name, shape: tensor.shape, data: toFloat32(tensor) }));
  return { path, architecture, network: createNetwork(architecture.spec, { weights }), metadata, sha256 };
}

/**
 * Reads a checkpoint and hashes the file it came from. A file of no format of ours is read by the plugin that its ending names:
 * "net.foo" by the format "foo", where that takes it.
 *
 * @param from - the folder from which plugins are looked for
 */
export async function readModelFile(
  path: string,
  from: string,
): Promise<{ checkpoint: Checkpoint; bytes: Uint8Array; sha256: string }> {
  const bytes = await readFileBytes(path);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (isPacked(bytes)) return { checkpoint: await packedCheckpoint(bytes), bytes, sha256 };
  const plugin = detectFormat(bytes) === "unknown" ? await findFormat(path, from) : undefined;
  const decode = plugin?.format.detects(bytes.subarray(0, 4096)) ? plugin.format.decode : undefined;
  const checkpoint = decode
    ? cleanCheckpoint(pluginCheckpoint(plugin!.name, await decode(bytes, path)), path)
    : decodeCheckpoint(bytes, path);
  return { checkpoint, bytes, sha256 };
}
