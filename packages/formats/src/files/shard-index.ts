/**
 * The JSON beside a checkpoint that is split into several files: { metadata, weight_map: { tensor: file } }, as the
 * transformers library writes it (model.safetensors.index.json, pytorch_model.bin.index.json).
 */
import { badShardIndex } from "../errors.ts";
import { MAX_INDEX_BYTES, MAX_SHARDS } from "../limits.ts";
import { decodeUtf8, isJsonObject, parseJsonText } from "../text/json.ts";
import { describeJson, quote } from "../text/quote.ts";

/** Which file each tensor is in, by tensor. */
export type ShardIndex = ReadonlyMap<string, string>;

/**
 * Reads an index. Files lie beside it: a name that leads elsewhere is refused.
 *
 * @throws ERR_SHARD_INDEX when it is damaged, larger than 64 MiB, empty, names a file outside the folder or more than 1000
 */
export function parseShardIndex(bytes: Uint8Array, source: string): ShardIndex {
  const refuse = (found: string, expected: string): Error => badShardIndex({ source, found, expected });
  if (bytes.length > MAX_INDEX_BYTES) throw refuse(`${bytes.length} bytes`, `at most ${MAX_INDEX_BYTES}`);
  const json = parseJsonText(decodeUtf8(bytes) ?? "");
  const map = isJsonObject(json) ? json["weight_map"] : undefined;
  if (!isJsonObject(map)) throw refuse("no object weight_map", "JSON with one");
  const index = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== "string") throw refuse(`${describeJson(file)} as the file of ${quote(tensor)}`, "its name");
    if (!/^[^/\\:\p{Cc}]+$/u.test(file) || file === "." || file === "..") {
      throw refuse(`the file ${quote(file)} of ${quote(tensor)}`, "the name of a file beside the index");
    }
    index.set(tensor, file);
  }
  const files = new Set(index.values());
  if (files.size === 0) throw refuse("a weight_map without tensors", "at least one");
  if (files.size > MAX_SHARDS) throw refuse(`${files.size} files`, `at most ${MAX_SHARDS}`);
  return index;
}
