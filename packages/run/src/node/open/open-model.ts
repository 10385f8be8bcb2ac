/** A checkpoint file as a network that can be evaluated, pruned and saved again. */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { isPruneError, PruneError, type RunEvent, type Task } from "@secateur/core";
import {
  assertFiniteTensors,
  type Checkpoint,
  checkpointFilesOf,
  cleanCheckpoint,
  readFileBytes,
  toFloat32,
} from "@secateur/formats";
import { createNetwork, type Network } from "@secateur/nn";
import { isPacked, packedCheckpoint } from "../pack/packed-checkpoint.ts";
import { findReader, pluginCheckpoint } from "../plugins/find-format.ts";
import { statedOfModel } from "../preprocessing/beside-model.ts";
import type { StatedOfModel } from "../preprocessing/preprocessing.ts";
import { type ResolvedArchitecture, resolveArchitecture } from "./architecture/resolve-architecture.ts";
import { findTensors, type StoredTensors, withoutCounters } from "./stored-tensors.ts";
import { trainedFor } from "./trained-for.ts";

/** An opened checkpoint. */
export interface OpenedModel {
  /** Absolute path. */
  readonly path: string;
  readonly architecture: ResolvedArchitecture;
  readonly network: Network;
  /** How the file names its tensors, and their types: what is written keeps both. */
  readonly stored: StoredTensors;
  /** Names of weights that are one tensor in the file, a list each. */
  readonly tied: readonly (readonly string[])[];
  /** What the file said beside its tensors. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What its metadata, or a model card beside it, state of preparing data and of its classes. */
  readonly stated: StatedOfModel;
  /** The task that the file says it was trained for, with --task. */
  readonly trainedFor: Task | undefined;
  /** Of the whole file, or of all files, hexadecimal. */
  readonly sha256: string;
}

/**
 * Opens a checkpoint as a network.
 *
 * @param spec.path - absolute
 * @param spec.arch - what --arch says
 * @param spec.cwd - the folder from which plugins are looked for; default: that of the file
 * @param spec.onEvent - told what the user should know of how the file was read
 * @throws the file errors of formats, ERR_ARCHITECTURE, ERR_UNKNOWN_NAME, ERR_WEIGHTS_MISMATCH,
 * ERR_TENSOR_NAMES, ERR_DTYPE, ERR_NOT_FINITE
 */
export async function openModel(spec: {
  path: string;
  arch: string | undefined;
  onEvent: (event: RunEvent) => void;
  cwd?: string;
}): Promise<OpenedModel> {
  const { path, onEvent, cwd = dirname(path) } = spec;
  const { checkpoint, sha256 } = await readModelFile(path, cwd);
  const { notes = [] } = checkpoint;
  for (const note of notes) onEvent({ type: "note", level: "info", code: "checkpoint", message: `${path}: ${note}` });
  try {
    return { ...(await networkOf({ ...spec, cwd, checkpoint })), path, sha256 };
  } catch (error) {
    throw withNotes(error, notes);
  }
}

/** The network that a checkpoint's tensors make. */
async function networkOf(spec: {
  path: string;
  arch: string | undefined;
  onEvent: (event: RunEvent) => void;
  cwd: string;
  checkpoint: Checkpoint;
}): Promise<Omit<OpenedModel, "path" | "sha256">> {
  const { path, arch, onEvent, cwd, checkpoint } = spec;
  // The checksum was of these bytes, and holds of nothing that is made from them.
  const { "secateur.crc32": _checksum, ...metadata } = checkpoint.metadata;
  const tensors = withoutCounters(checkpoint.tensors);
  const architecture = await resolveArchitecture({ flag: arch, path, tensors, metadata, from: cwd });
  assertFiniteTensors(tensors, path);
  const { spec: network, map } = architecture;
  const found = findTensors({ path, network, tensors, map, metadata, onEvent });
  const types = [...new Set([...found.stored.values()].map(({ dtype }) => dtype))].filter((dtype) => dtype !== "f32");
  if (types.length > 0) {
    const message = `${path}: holds ${types.join(" and ")}; it is computed in f32, and what is written has the types of the file again`;
    onEvent({ type: "note", level: "info", code: "dtype", message });
  }
  const weights = found.tensors.map((tensor) => {
    // Of a tensor that the network does not have only the name matters, for the message.
    const data = found.stored.has(tensor.name) ? toFloat32(tensor) : new Float32Array(0);
    return { name: tensor.name, shape: tensor.shape, data };
  });
  const { stored, tied } = found;
  const made = createNetwork(network, { weights });
  const trained = await trainedFor({ path, metadata, from: cwd, onEvent });
  const stated = await statedOfModel(path, metadata);
  const told = trained ? { ...made, taskFor: () => trained } : made;
  return { architecture, network: told, stored, tied, metadata, stated, trainedFor: trained };
}

/** Where tensors fit no network, what was done or left undone to names and masks may be why. */
function withNotes(error: unknown, notes: readonly string[]): unknown {
  const isOfTensors = ["ERR_ARCHITECTURE", "ERR_WEIGHTS_MISMATCH", "ERR_TENSOR_NAMES"];
  if (notes.length === 0 || !isPruneError(error) || !isOfTensors.includes(error.code)) return error;
  const message = `${error.message}; in reading the file: ${notes.join("; ")}`;
  return new PruneError(error.code, message, { details: { ...error.details, notes }, cause: error });
}

/**
 * Reads a checkpoint and hashes the files it came from: the file, or an index and the files that it names. The format of a plugin
 * comes first where the file's ending asks for it, and last where no format of ours takes the file.
 *
 * @param from - the folder from which plugins are looked for
 */
export async function readModelFile(
  path: string,
  from: string,
): Promise<{ checkpoint: Checkpoint; bytes: Uint8Array; sha256: string }> {
  // A checkpoint in several files is read file by file; for these the first bytes of one decide.
  const own = await readFileBytes(path);
  if (isPacked(own)) return { checkpoint: await packedCheckpoint(own, path), bytes: own, sha256: sha256Of([own]) };
  const plugin = await findReader(path, own, from);
  if (plugin) {
    const content = pluginCheckpoint(plugin.name, await plugin.format.decode!(own, path));
    return { checkpoint: cleanCheckpoint(content, path), bytes: own, sha256: sha256Of([own]) };
  }
  const { checkpoint, files } = await checkpointFilesOf(path, own);
  const parts = files.map(({ bytes }) => bytes);
  const bytes = parts.length === 1 ? own : Buffer.concat(parts);
  return { checkpoint, bytes, sha256: sha256Of(parts) };
}

function sha256Of(parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
