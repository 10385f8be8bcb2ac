/** What `secateur inspect` says of a TensorFlow.js model: its weights, and which of them can be pruned where TensorFlow.js is installed. */
import { dirname } from "node:path";
import { decodeWeight, type ModelFiles, openModelFiles } from "@secateur/backends-tfjs";
import { countZeros, isPruneError } from "@secateur/core";
import { type EngineChoice, startTensorflow } from "../open/load-tensorflow.ts";
import { readTfjsFiles, tfjsMetadata } from "../open/open-tfjs.ts";
import type { InspectedTensor } from "./run-inspect.ts";

/** An inspected model before its file sizes. */
export interface InspectedTfjs {
  readonly format: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
  readonly tensors: readonly InspectedTensor[];
  /** model.json and the weights files, one after the other. */
  readonly content: Uint8Array;
  readonly sha256: string;
}

/** Reads a model and, where an engine starts, asks TensorFlow.js what its weights are for. */
export async function inspectTfjs(spec: {
  path: string;
  engine: EngineChoice | undefined;
  cwd: string;
}): Promise<InspectedTfjs> {
  const { files, sha256 } = await readTfjsFiles(spec.path);
  const { prunable, notes } = await prunability(files, spec);
  const tensors = files.weights.map(({ spec: weight, offset, bytes }): InspectedTensor => {
    const values = decodeWeight(weight, files.data.subarray(offset, offset + bytes));
    const size = weight.shape.reduce((product, extent) => product * extent, 1);
    const zeros = countZeros(values ?? []);
    const dtype = weight.quantization?.dtype ?? weight.dtype;
    const name = weight.name;
    return { name, shape: weight.shape, dtype, size, zeros, bytes, ...(prunable ? { prunable: prunable(name) } : {}) };
  });
  const content = new Uint8Array(files.jsonBytes.length + files.data.length);
  content.set(files.jsonBytes);
  content.set(files.data, files.jsonBytes.length);
  return { format: `tfjs-${files.kind}`, metadata: metadataOf(files), notes, tensors, content, sha256 };
}

function metadataOf(files: ModelFiles): Readonly<Record<string, string>> {
  const { json } = files;
  const known = ["format", "generatedBy", "convertedBy"];
  const own = known.flatMap((key) => (typeof json[key] === "string" ? [[key, json[key]]] : []));
  return { ...Object.fromEntries(own), ...tfjsMetadata(files) };
}

async function prunability(
  files: ModelFiles,
  { path, engine = "auto", cwd }: { path: string; engine: EngineChoice | undefined; cwd: string },
): Promise<{ prunable?: (name: string) => boolean; notes: readonly string[] }> {
  try {
    const { tf } = await startTensorflow({ engine, folders: [cwd, dirname(path)], onEvent: () => {} });
    const model = await openModelFiles({ tf, files });
    const names = new Set(model.prunableInFile);
    const notes = model.keptDense.map(({ weight, reason }) => `'${weight}' stays dense: ${reason}`);
    model.dispose();
    return { prunable: (name) => names.has(name), notes };
  } catch (error) {
    // The files can be looked at without TensorFlow.js, and a model that it refuses all the more.
    if (!isPruneError(error)) throw error;
    return { notes: [`which weights can be pruned is not known: ${error.message}`] };
  }
}
