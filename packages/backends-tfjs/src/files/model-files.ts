/** A TensorFlow.js model on disk or behind a URL: model.json and its weights files, read whole and checked. */
import { badModelJson, missingShard, unknownDtype, wrongShardLength } from "../errors.ts";
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
interface WeightGroup {
  readonly paths: readonly string[];
  readonly weights: readonly WeightSpec[];
}

/** model.json; keys that are not named here are kept as they are. */
export interface ModelJson {
  readonly format?: string;
  readonly modelTopology: object;
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
    shards.push(...group.paths.map((path, i) => ({ path, bytes: files[i]!.length })));
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

/** Checks the shape of model.json. @throws ERR_TFJS_MODEL saying what is wrong */
function parseModelJson(source: string, bytes: Uint8Array): ModelJson {
  const expected = "JSON with modelTopology and weightsManifest";
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw badModelJson({ source, found: cause instanceof Error ? cause.message : "no JSON", expected });
  }
  if (!isRecord(json)) throw badModelJson({ source, found: "JSON that is no object", expected });
  if (!isRecord(json["modelTopology"])) throw badModelJson({ source, found: "no modelTopology", expected });
  const { format } = json;
  if (format !== undefined && format !== "layers-model" && format !== "graph-model") {
    throw badModelJson({ source, found: `the format '${String(format)}'`, expected: "layers-model or graph-model" });
  }
  if (!Array.isArray(json["weightsManifest"])) throw badModelJson({ source, found: "no weightsManifest", expected });
  for (const group of json["weightsManifest"] as unknown[]) checkGroup(source, group);
  return json as unknown as ModelJson;
}

function checkGroup(source: string, group: unknown): void {
  const expected = "groups of 'paths' and 'weights' with name, shape and dtype";
  const isWhole = isRecord(group) && isTexts(group["paths"]) && Array.isArray(group["weights"]);
  if (!isWhole) throw badModelJson({ source, found: "a weightsManifest of another form", expected });
  for (const path of group["paths"] as readonly string[]) {
    // The files lie beside model.json; a name that leads elsewhere would read, and on saving write, other people's files.
    if (path === "" || /^([/\\]|[a-z]+:)|(^|[/\\])\.\.([/\\]|$)/i.test(path)) {
      throw badModelJson({ source, found: `the weights file '${path}'`, expected: "a name inside the model's folder" });
    }
  }
  for (const weight of group["weights"] as unknown[]) {
    const isWeight =
      isRecord(weight) &&
      typeof weight["name"] === "string" &&
      typeof weight["dtype"] === "string" &&
      Array.isArray(weight["shape"]) &&
      weight["shape"].every((extent) => Number.isSafeInteger(extent) && extent >= 0);
    if (!isWeight)
      throw badModelJson({ source, found: `the weight ${JSON.stringify(weight)?.slice(0, 80)}`, expected });
    const { quantization } = weight;
    if (quantization !== undefined && !(isRecord(quantization) && typeof quantization["dtype"] === "string")) {
      throw badModelJson({ source, found: `a quantization of '${String(weight["name"])}' without dtype`, expected });
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let start = 0;
  for (const part of parts) {
    out.set(part, start);
    start += part.length;
  }
  return out;
}
