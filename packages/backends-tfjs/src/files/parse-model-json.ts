/**
 * Checks everything about model.json that is relied on later, and bounds what it may ask for: TensorFlow.js itself trusts it.
 * docs/limits.md lists the limits for users.
 */
import { badModelJson } from "../errors.ts";
import type { ModelJson } from "./model-files.ts";

/** Weights files of one model; converters cut into pieces of 4 MB, so these hold 40 GB. */
const MAX_SHARDS = 10_000;

/** Brackets inside each other. Models nest a dozen levels; TensorFlow.js goes down by recursion. */
const MAX_DEPTH = 200;

/** Dimensions of a weight; TensorFlow.js has kernels for at most six. */
const MAX_RANK = 8;

/** Reads and checks model.json. @throws ERR_TFJS_MODEL saying what is wrong */
export function parseModelJson(source: string, bytes: Uint8Array): ModelJson {
  const expected = "JSON with modelTopology and weightsManifest";
  const refuse = (found: string, allowed: string = expected): Error =>
    badModelJson({ source, found, expected: allowed });
  const text = new TextDecoder().decode(bytes);
  if (isDeeperThan(text, MAX_DEPTH)) {
    throw refuse(`brackets nested deeper than ${MAX_DEPTH}`, `at most ${MAX_DEPTH} levels`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw refuse(cause instanceof Error ? cause.message.slice(0, 200) : "no JSON");
  }
  if (!isRecord(json)) throw refuse("JSON that is no object");
  if (!isRecord(json["modelTopology"])) throw refuse("no modelTopology");
  const { format, weightsManifest } = json;
  if (format !== undefined && format !== "layers-model" && format !== "graph-model") {
    throw refuse(`the format ${shown(format)}`, "layers-model or graph-model");
  }
  if (!Array.isArray(weightsManifest)) throw refuse("no weightsManifest");
  const paths = new Set<string>();
  for (const group of weightsManifest as unknown[]) checkGroup({ group, paths, refuse });
  return json as unknown as ModelJson;
}

type Refuse = (found: string, allowed: string) => Error;

function checkGroup(spec: { group: unknown; paths: Set<string>; refuse: Refuse }): void {
  const { group, paths, refuse } = spec;
  const expected = "groups of 'paths' and 'weights' with name, shape and dtype";
  const isWhole = isRecord(group) && isTexts(group["paths"]) && Array.isArray(group["weights"]);
  if (!isWhole) throw refuse("a weightsManifest of another form", expected);
  for (const path of group["paths"] as readonly string[]) {
    // The files lie beside model.json; a name that leads elsewhere would read, and on saving write, other people's files.
    if (path === "" || /^\s|\s$|^([/\\]|[a-z]+:)|(^|[/\\])\.\.([/\\]|$)|[\p{Cc}]/iu.test(path)) {
      throw refuse(`the weights file ${shown(path)}`, "a name inside the model's folder");
    }
    // Read again and again, a small file would become large.
    if (paths.has(path)) throw refuse(`the weights file ${shown(path)} twice`, "each file once");
    paths.add(path);
    if (paths.size > MAX_SHARDS) throw refuse(`more than ${MAX_SHARDS} weights files`, `at most ${MAX_SHARDS}`);
  }
  for (const weight of group["weights"] as unknown[]) {
    const isWeight =
      isRecord(weight) &&
      typeof weight["name"] === "string" &&
      typeof weight["dtype"] === "string" &&
      Array.isArray(weight["shape"]) &&
      weight["shape"].length <= MAX_RANK &&
      weight["shape"].every((extent) => Number.isSafeInteger(extent) && extent >= 0);
    if (!isWeight) throw refuse(`the weight ${shown(weight)}`, expected);
    if (!isQuantization(weight["quantization"])) {
      const allowed = "a dtype, and finite numbers as scale and min";
      throw refuse(`the quantization ${shown(weight["quantization"])} of '${weight["name"]}'`, allowed);
    }
  }
}

function isQuantization(value: unknown): boolean {
  if (value === undefined) return true;
  if (!isRecord(value) || typeof value["dtype"] !== "string") return false;
  const isText = value["original_dtype"] === undefined || typeof value["original_dtype"] === "string";
  return isText && ["scale", "min"].every((key) => value[key] === undefined || Number.isFinite(value[key]));
}

/** A parsed value in at most 80 characters; what was parsed from JSON of bounded depth can be written again. */
function shown(value: unknown): string {
  const text = typeof value === "string" ? `'${value}'` : (JSON.stringify(value) ?? "nothing");
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** Whether brackets outside of texts are nested deeper. O(length), without parsing. */
function isDeeperThan(json: string, limit: number): boolean {
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const char = json.charCodeAt(i);
    if (char === 0x22) {
      i++;
      while (i < json.length && json.charCodeAt(i) !== 0x22) i += json.charCodeAt(i) === 0x5c ? 2 : 1;
    } else if (char === 0x5b || char === 0x7b) {
      if (++depth > limit) return true;
    } else if (char === 0x5d || char === 0x7d) depth--;
  }
  return false;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
