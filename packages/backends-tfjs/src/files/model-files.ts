/** A TensorFlow.js model on disk or behind a URL: model.json and its weights files, read whole and checked. */
import { missingShard, unknownDtype, wrongShardLength } from "../errors.ts";
import { parseModelJson } from "./parse-model-json.ts";
import { storedBytes, weightDtypes } from "./weight-bytes.ts";

/** One weight as the manifest describes it. */
export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly quantization?: {
    readonly dtype: string;
    readonly scale?: number;
    readonly min?: number;
    readonly original_dtype?: string;
  };
}

/** Weights that lie in the same files. */
export interface WeightGroup {
  readonly paths: readonly string[];
  readonly weights: readonly WeightSpec[];
}

/** model.json; keys that are not named here are kept as they are. */
export interface ModelJson {
  readonly format?: string;
  readonly modelTopology: Readonly<Record<string, unknown>>;
  readonly weightsManifest: readonly WeightGroup[];
  readonly [key: string]: unknown;
}

/** A weight and where its bytes are. */
export interface FileWeight {
  readonly spec: WeightSpec;
  /** Of all the model's weights, one after the other. */
  readonly offset: number;
  readonly bytes: number;
}

/** A model as read. */
export interface ModelFiles {
  /** Path or URL of model.json. */
  readonly source: string;
  readonly kind: "layers" | "graph";
  readonly json: ModelJson;
  /** model.json itself, byte for byte. */
  readonly jsonBytes: Uint8Array;
  readonly weights: readonly FileWeight[];
  /** All weights, one after the other [sum of their stored bytes]. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** Names and lengths of the weights files, in the order of `data`. */
  readonly shards: readonly { readonly path: string; readonly bytes: number }[];
}

/** Reads a file by its name beside model.json; "" is model.json itself. */
export type ReadFile = (name: string) => Promise<Uint8Array>;

/**
 * Reads a model.
 *
 * @param spec.source - path or URL of model.json, for messages
 * @param spec.read - reads model.json (given "") and the files beside it
 * @throws ERR_TFJS_MODEL, ERR_TFJS_SHARD (missing, of the wrong length), ERR_TFJS_DTYPE; what reading model.json throws
 * @example
 * const files = await readModelFiles({ source: url, read: (name) => fetchBytes(new URL(name || url, url)) });
 */
export async function readModelFiles(spec: { source: string; read: ReadFile }): Promise<ModelFiles> {
  const { source, read } = spec;
  const jsonBytes = await read("");
  const json = parseModelJson(source, jsonBytes);
  const parts: Uint8Array[] = [];
  const weights: FileWeight[] = [];
  const shards: { path: string; bytes: number }[] = [];
  let end = 0;
  for (const group of json.weightsManifest) {
    const files: Uint8Array[] = [];
    for (const path of group.paths) files.push(await readShard({ source, path, read }));
    const bytes = joined(files);
    let offset = 0;
    for (const weight of group.weights) {
      if (!weightDtypes.includes(weight.quantization?.dtype ?? weight.dtype) || !weightDtypes.includes(weight.dtype)) {
        const found = weight.quantization?.dtype ?? weight.dtype;
        throw unknownDtype({ source, weight: weight.name, found, known: weightDtypes });
      }
      const length = storedBytes(weight, bytes.subarray(offset));
      weights.push({ spec: weight, offset: end + offset, bytes: length });
      offset += length;
    }
    if (offset !== bytes.length) {
      throw wrongShardLength({ source, shards: group.paths, found: bytes.length, expected: offset });
    }
    for (const [i, path] of group.paths.entries()) shards.push({ path, bytes: files[i]!.length });
    parts.push(bytes);
    end += bytes.length;
  }
  return { source, kind: kindOf(json), json, jsonBytes, weights, data: joined(parts), shards };
}

async function readShard(spec: { source: string; path: string; read: ReadFile }): Promise<Uint8Array> {
  const { source, path, read } = spec;
  try {
    return await read(path);
  } catch (cause) {
    throw missingShard({ source, shard: path, cause });
  }
}

function kindOf(json: ModelJson): "layers" | "graph" {
  if (json.format === "graph-model") return "graph";
  return json.format === undefined && "node" in json.modelTopology ? "graph" : "layers";
}

/** Bytes one after the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let start = 0;
  for (const part of parts) {
    out.set(part, start);
    start += part.length;
  }
  return out;
}
