/** A TensorFlow.js model.json as a model that can be evaluated, pruned and saved again. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Engine, type ModelFiles, openModelFiles, readModelFiles, type SavedModel } from "@secateur/backends-tfjs";
import type { RunEvent } from "@secateur/core";
import { detectFormat, readFileBytes } from "@secateur/formats";
import { flagWithoutEffect } from "../../errors.ts";
import { type EngineChoice, startTensorflow } from "./load-tensorflow.ts";

/** An opened TensorFlow.js model. */
export interface OpenedTfjs {
  readonly model: SavedModel;
  readonly engine: Engine;
  readonly sha256: string;
}

/** Texts of a model's own metadata. */
export function tfjsMetadata({ json }: Pick<ModelFiles, "json">): Readonly<Record<string, string>> {
  const own = Object.entries(json["userDefinedMetadata"] ?? {});
  return Object.fromEntries(own.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}

/** The file that MODEL means: model.json inside, where it names a folder that has one. */
export function modelFile(path: string): string {
  const inside = join(path, "model.json");
  return existsSync(inside) ? inside : path;
}

/** Whether a file is TensorFlow.js's model.json, by its content. What cannot be read is left to whoever reads it. */
export async function isTfjsModel(path: string): Promise<boolean> {
  try {
    const file = await open(path);
    try {
      const head = new Uint8Array(4096);
      const { bytesRead } = await file.read(head, 0, head.length, 0);
      return detectFormat(head.subarray(0, bytesRead)) === "tfjs";
    } finally {
      await file.close();
    }
  } catch {
    return false;
  }
}

/** Reads a model's files. @throws ERR_TFJS_MODEL, ERR_TFJS_SHARD, ERR_TFJS_DTYPE, and the file errors of formats */
export async function readTfjsFiles(path: string): Promise<{ files: ModelFiles; sha256: string }> {
  const folder = dirname(path);
  const files = await readModelFiles({
    source: path,
    read: (name) => readFileBytes(name === "" ? path : join(folder, name)),
  });
  const sha256 = createHash("sha256").update(files.jsonBytes).update(files.data).digest("hex");
  return { files, sha256 };
}

/**
 * Opens a model on an engine.
 *
 * @param spec.path - absolute, of model.json
 * @param spec.arch - what --arch says; the model says itself what it is
 * @throws as readTfjsFiles; ERR_TFJS_ENGINE; ERR_USAGE
 */
export async function openTfjs(spec: {
  path: string;
  arch: string | undefined;
  engine: EngineChoice;
  includeFrozen?: boolean | undefined;
  cwd: string;
  onEvent: (event: RunEvent) => void;
}): Promise<OpenedTfjs> {
  const { path, arch, engine: choice, includeFrozen = false, cwd, onEvent } = spec;
  const { files, sha256 } = await readTfjsFiles(path);
  if (arch !== undefined && arch !== tfjsArchitecture(files)) {
    throw flagWithoutEffect({ flag: "--arch", reason: `${path} says itself which network it is` });
  }
  const engine = await startTensorflow({ engine: choice, folders: [cwd, dirname(path)], onEvent });
  const model = await openModelFiles({ tf: engine.tf, files, includeFrozen });
  for (const { weight, reason } of model.keptDense) {
    const message = `'${weight}' stays dense: ${reason}`;
    onEvent({ type: "note", level: "info", code: "kept-dense", message });
  }
  for (const loss of model.unknownLosses) {
    const message = `${path} was trained with the loss '${loss.slice(0, 60)}', which is not known here; ${model.loss ?? "what --task says"} is taken in its place (--task says otherwise)`;
    onEvent({ type: "note", level: "warn", code: "unknown-loss", message });
  }
  return { model, engine, sha256 };
}

/** What recipes and reports call the network: "tfjs-layers" or "tfjs-graph". */
export function tfjsArchitecture({ kind }: Pick<ModelFiles, "kind">): string {
  return `tfjs-${kind}`;
}
