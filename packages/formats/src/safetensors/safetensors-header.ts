/**
 * The header of a safetensors file and everything that can be wrong with it.
 *
 * Layout: 8 bytes with the header's length N (unsigned, little-endian); N bytes of UTF-8 JSON that begin with `{` and
 * may end in spaces; then the data. The JSON maps each tensor's name to { dtype, shape, data_offsets: [begin, end] },
 * counted from the start of the data, and `__metadata__` to an object of strings. The tensors cover the data without
 * hole or overlap. Source: the format description in the safetensors repository (huggingface/safetensors).
 */

import { badSafetensors } from "../errors.ts";
import { MAX_METADATA, MAX_TENSORS } from "../limits.ts";
import { findDuplicateKey } from "../text/duplicate-key.ts";
import { decodeUtf8, isJsonObject, isWellFormed } from "../text/json.ts";
import { visitMembers } from "../text/json-members.ts";
import { describeJson, quote } from "../text/quote.ts";
import { countKeys, scanJson } from "../text/scan-json.ts";
import { parseSafetensorsEntry, type SafetensorsEntry } from "./safetensors-entry.ts";

/** A header that fits its file: the entries, in the order of their data, cover `dataStart` to the end of the file exactly. */
export interface SafetensorsHeader {
  readonly entries: readonly SafetensorsEntry[];
  readonly metadata: Readonly<Record<string, string>>;
  /** index of the first byte of data */
  readonly dataStart: number;
}

/** The reference implementation refuses longer headers too. */
const MAX_HEADER_BYTES = 100_000_000;

/**
 * Reads and checks the header of a whole safetensors file. O(header) time and memory; no tensor is touched.
 *
 * @param bytes - the whole file
 * @param source - name of the file, for messages
 * @throws ERR_SAFETENSORS, ERR_DTYPE
 */
export function parseSafetensorsHeader(bytes: Uint8Array, source: string): SafetensorsHeader {
  const dataStart = 8 + headerLength(bytes, source);
  const refuse = (found: string, expected: string) => badSafetensors({ source, found, expected });
  const json = decodeUtf8(bytes.subarray(8, dataStart));
  if (json === undefined) throw refuse("a header that is not UTF-8 text", "a UTF-8 JSON header");
  if (!json.startsWith("{")) throw refuse("a header that does not begin with '{'", "a JSON object as header");
  let metadata: Readonly<Record<string, string>> = {};
  const entries: SafetensorsEntry[] = [];
  const names = new Set<string>();
  const assertFew = (name: string, text: string): void => {
    const { keys } = name === "__metadata__" ? scanJson(text) : { keys: 0 };
    if (keys > MAX_METADATA) throw refuse(`${keys} entries in __metadata__`, `at most ${MAX_METADATA}`);
  };
  const visit = (name: string, value: unknown, text: string): void => {
    if (names.size > MAX_TENSORS) throw refuse(`more than ${MAX_TENSORS} tensors`, `at most ${MAX_TENSORS}`);
    const { keys, otherNumber } = scanJson(text);
    // Inside the value a repeated name is looked for only where JSON.parse has lost one.
    const repeated = names.has(name) ? name : keys === countKeys(value) ? undefined : findDuplicateKey(text);
    if (repeated !== undefined) throw refuse(`the name ${quote(repeated)} twice in the header`, "unique names");
    names.add(name);
    // MLX writes null where it was given no metadata, and the reference reads that as none.
    if (name === "__metadata__") metadata = value === null ? {} : parseMetadata(value, source);
    else entries.push(parseSafetensorsEntry({ name, value, source }));
    if (otherNumber !== undefined) throw refuse(`the number ${quote(otherNumber)}`, "whole numbers in decimal digits");
  };
  if (!visitMembers(json, visit, assertFew)) throw refuse("a header that is not valid JSON", "a JSON object as header");
  // Only empty tensors share a begin with another, so the end decides which comes first.
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkCoverage({ entries, dataBytes: bytes.length - dataStart, source });
  return { entries, metadata, dataStart };
}

function headerLength(bytes: Uint8Array, source: string): number {
  if (bytes.length < 8) {
    const found = bytes.length === 0 ? "an empty file" : `a file of ${bytes.length} bytes`;
    throw badSafetensors({ source, found, expected: "at least the 8 bytes of the header's length" });
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  const available = bytes.length - 8;
  if (length > BigInt(available)) {
    const found = `a header of ${length} bytes, larger than the file of ${bytes.length} bytes`;
    throw badSafetensors({ source, found, expected: `at most ${available} bytes of header (truncated or damaged)` });
  }
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw badSafetensors({
      source,
      found: `a header of ${length} bytes`,
      expected: `at most ${MAX_HEADER_BYTES} bytes`,
    });
  }
  return Number(length);
}

function parseMetadata(value: unknown, source: string): Readonly<Record<string, string>> {
  if (!isJsonObject(value)) {
    throw badSafetensors({ source, found: `${describeJson(value)} as __metadata__`, expected: "an object of strings" });
  }
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") {
      const found = `${describeJson(text)} as the __metadata__ entry ${quote(key)}`;
      throw badSafetensors({ source, found, expected: "a string" });
    }
    if (!isWellFormed(key) || !isWellFormed(text)) {
      const found = `half a surrogate pair in the __metadata__ entry ${quote(key)}`;
      throw badSafetensors({ source, found, expected: "well-formed text" });
    }
  }
  return value as Record<string, string>;
}

/** Entries sorted by offset must follow each other from 0 to the end of the data. */
function checkCoverage(spec: { entries: readonly SafetensorsEntry[]; dataBytes: number; source: string }): void {
  const { entries, dataBytes, source } = spec;
  let covered = 0;
  for (const { name, begin, end } of entries) {
    if (end > dataBytes) {
      const found = `tensor ${quote(name)} ending at byte ${end} of ${dataBytes} bytes of data`;
      throw badSafetensors({ source, found, expected: "offsets inside the data (truncated or damaged)" });
    }
    if (begin !== covered) {
      const found = `tensor ${quote(name)} starting at byte ${begin} of the data where byte ${covered} is next`;
      const expected = begin < covered ? "tensors that do not overlap" : "tensors without holes between them";
      throw badSafetensors({ source, found, expected });
    }
    covered = end;
  }
  if (covered !== dataBytes) {
    const found = `${dataBytes - covered} bytes after the last tensor`;
    throw badSafetensors({ source, found, expected: "a file that ends with its last tensor" });
  }
}
