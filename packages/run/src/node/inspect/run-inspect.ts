/** `secateur inspect`: what a model file holds, and what it costs to store. */
import { countZeros } from "@secateur/core";
import { type NamedTensor, toVec } from "@secateur/formats";
import { flagWithoutEffect } from "../../errors.ts";
import type { EngineChoice } from "../open/load-tensorflow.ts";
import { readModelFile } from "../open/open-model.ts";
import { isTfjsModel } from "../open/open-tfjs.ts";
import { statedOfModel } from "../preprocessing/beside-model.ts";
import type { Preprocessing } from "../preprocessing/preprocessing.ts";
import { type CompressedSizes, compressedSizes, sampledSizes } from "./compressed-sizes.ts";
import { type InspectedGraph, inspectOnnx } from "./inspect-onnx.ts";
import type { inspectTfjs } from "./inspect-tfjs.ts";

/** One tensor of an inspected model. */
export interface InspectedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly size: number;
  readonly zeros: number;
  readonly bytes: number;
  /** Of a TensorFlow.js model, where TensorFlow.js is installed. */
  readonly prunable?: boolean;
  /** The tensor that it is the same as in the file. */
  readonly tiedTo?: string;
}

/** What `secateur inspect --json` prints. */
export interface InspectDocument extends CompressedSizes {
  readonly format: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** What was left out of the file or changed. */
  readonly notes?: readonly string[];
  readonly tensors: readonly InspectedTensor[];
  /** What the file, or a model card beside it, says of preparing data: steps in order, and who said so. */
  readonly preprocessing?: Preprocessing;
  /** Names of its classes. */
  readonly labels?: readonly string[];
  /** Of an ONNX model. */
  readonly graph?: InspectedGraph;
  readonly size: number;
  readonly zeros: number;
  readonly sparsity: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** What to inspect. */
export interface InspectRun {
  /** Absolute path of a checkpoint or a model.json. */
  readonly path: string;
  /** What --engine says. */
  readonly engine: EngineChoice | undefined;
  /** Whether files of any size are compressed as a whole; default: pieces of large ones are. */
  readonly exactSizes: boolean;
  /** Where plugins and packages of TensorFlow.js are looked for. */
  readonly cwd: string;
  readonly signal: AbortSignal;
}

/**
 * Reads a model file and describes it. O(bytes), most of it reading and hashing: of a large file only pieces are compressed.
 *
 * @throws what reading the file throws; ERR_USAGE for an engine with a file that needs none; ERR_ABORTED
 */
export async function runInspect(run: InspectRun): Promise<InspectDocument> {
  const { path, engine, cwd, signal, exactSizes } = run;
  const isTfjs = await isTfjsModel(path);
  if (!isTfjs && engine !== undefined) {
    throw flagWithoutEffect({ flag: "--engine", reason: `${path} is no TensorFlow.js model` });
  }
  const { format, metadata, notes, tensors, content, sha256 } = isTfjs
    ? await (await import("./inspect-tfjs.ts")).inspectTfjs(run)
    : await read(path, cwd);
  const graph = isTfjs ? undefined : await inspectOnnx(content, path);
  const { preprocessing, labels, problem } = await statedOfModel(path, metadata);
  const said = problem ? [...notes, problem.message] : notes;
  // What is one tensor in the file counts once.
  const counted = tensors.filter(({ tiedTo }) => tiedTo === undefined);
  const size = counted.reduce((sum, tensor) => sum + tensor.size, 0);
  const zeros = counted.reduce((sum, tensor) => sum + tensor.zeros, 0);
  return {
    ...{ format, metadata, ...(said.length === 0 ? {} : { notes: said }), tensors },
    ...(preprocessing ? { preprocessing } : {}),
    ...(labels ? { labels } : {}),
    ...(graph ? { graph } : {}),
    ...{ size, zeros, sparsity: size === 0 ? 0 : zeros / size, bytes: content.length },
    ...(await (exactSizes ? compressedSizes : sampledSizes)(content, signal)),
    sha256,
  };
}

async function read(path: string, cwd: string): ReturnType<typeof inspectTfjs> {
  const { checkpoint, bytes, sha256 } = await readModelFile(path, cwd);
  const { format, metadata, notes = [] } = checkpoint;
  const firsts = new Map<unknown, string>();
  const tensors = checkpoint.tensors.map((tensor) => {
    const described = describe(tensor);
    if (tensor.data.length <= 1) return described;
    const first = firsts.get(tensor.data);
    if (first === undefined) firsts.set(tensor.data, tensor.name);
    return first === undefined ? described : { ...described, tiedTo: first };
  });
  return { format, metadata, notes, tensors, content: bytes, sha256 };
}

function describe(tensor: NamedTensor): InspectedTensor {
  const { name, shape, dtype, data } = tensor;
  return { name, shape, dtype, size: data.length, zeros: countZeros(toVec(tensor)), bytes: data.byteLength };
}
