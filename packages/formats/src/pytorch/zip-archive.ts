/**
 * The framing of a zip file: names, places and checksums of entries, which torch.save stores without compression; whoever reads others brings
 * what inflates them. Source: PKWARE's APPNOTE.TXT 6.3, zip64 included. Why not a library: stored entries need no inflating, and
 * the ones on npm copy every entry and take the sizes in the directory on trust (fflate), or read asynchronously (yauzl).
 */

import { badPytorch } from "../errors.ts";
import { crc32 } from "../files/crc32.ts";
import { quote } from "../text/quote.ts";

/** An entry of the archive's directory; its place is checked when its bytes are asked for. */
export interface ZipEntry {
  readonly name: string;
  /** bytes of data */
  readonly size: number;
  /** bytes of data in the file */
  readonly packedSize: number;
  /** 0 is stored; everything else is compressed */
  readonly method: number;
  readonly isEncrypted: boolean;
  readonly crc32: number;
  /** index of its local header */
  readonly headerStart: number;
}

const END_BYTES = 22;
const LOCATOR_BYTES = 20;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const MAX_COMMENT_BYTES = 0xffff;

/**
 * Reads the directory of a whole zip file. O(entries) time and memory, which the size of the directory bounds.
 *
 * @param source - name of the file, for messages
 * @returns entries by name
 * @throws ERR_PYTORCH when the directory is missing, damaged, outside the file, names an entry twice, or has entries over
 * the same bytes
 */
export function readZipDirectory(bytes: Uint8Array, source: string): ReadonlyMap<string, ZipEntry> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { start, size, count } = directoryPlace(view, source);
  const entries = new Map<string, ZipEntry>();
  let at = start;
  for (let i = 0; i < count; i++) {
    const found = at + ENTRY_BYTES <= start + size && view.getUint32(at, true) === 0x02014b50;
    if (!found) throw damaged(source, `a directory that ends after ${i} of ${count} entries`);
    const nameBytes = view.getUint16(at + 28, true);
    const extraBytes = view.getUint16(at + 30, true);
    const next = at + ENTRY_BYTES + nameBytes + extraBytes + view.getUint16(at + 32, true);
    if (next > start + size) throw damaged(source, `a directory entry that goes beyond the directory`);
    const entry = directoryEntry(view, { at, nameBytes, extraBytes, source });
    if (entries.has(entry.name)) throw damaged(source, `the entry ${quote(entry.name)} twice`);
    entries.set(entry.name, entry);
    at = next;
  }
  refuseOverlaps([...entries.values()], source);
  return entries;
}

/**
 * The bytes of an entry, a view where it is stored, checked against the file's size and the entry's checksum.
 *
 * @param inflate - unpacks deflated bytes to one byte more than `size` at most; default: compressed entries are refused
 * @throws ERR_PYTORCH when the entry is compressed in another way, encrypted, outside the file or damaged
 */
export function zipEntryBytes(
  bytes: Uint8Array,
  entry: ZipEntry,
  source: string,
  inflate?: (packed: Uint8Array, size: number) => Uint8Array,
): Uint8Array {
  const { name, size, packedSize, method, isEncrypted, headerStart } = entry;
  const where = `the entry ${quote(name)}`;
  const isDeflated = method === 8 && inflate !== undefined;
  if ((method !== 0 && !isDeflated) || isEncrypted) {
    const found = `${where} ${isEncrypted ? "encrypted" : "compressed"}`;
    const expected = "entries as torch.save stores them, neither compressed nor encrypted";
    throw badPytorch({ source, found, expected, remedy: "load and save it again with torch" });
  }
  if (!isDeflated && packedSize !== size) throw damaged(source, `${where} of ${size} bytes stored in ${packedSize}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (headerStart + LOCAL_BYTES > bytes.length || view.getUint32(headerStart, true) !== 0x04034b50) {
    throw damaged(source, `${where} without a header at byte ${headerStart}`);
  }
  // The local name and padding may differ in length from the directory's.
  const start =
    headerStart + LOCAL_BYTES + view.getUint16(headerStart + 26, true) + view.getUint16(headerStart + 28, true);
  if (start + packedSize > bytes.length) {
    throw damaged(source, `${where} of ${packedSize} bytes at byte ${start}, beyond the file's ${bytes.length} bytes`);
  }
  const packed = bytes.subarray(start, start + packedSize);
  const data = isDeflated ? inflated({ packed, size, where, source }, inflate) : packed;
  // torch writes 0 where it was told not to compute checksums (torch.serialization.set_crc32_options).
  if (entry.crc32 !== 0 && crc32(data) !== entry.crc32) {
    throw damaged(source, `${where} whose bytes do not have the checksum that was stored with them`);
  }
  return data;
}

function inflated(
  { packed, size, where, source }: { packed: Uint8Array; size: number; where: string; source: string },
  inflate: (packed: Uint8Array, size: number) => Uint8Array,
): Uint8Array {
  let data: Uint8Array | undefined;
  try {
    data = inflate(packed, size);
  } catch (cause) {
    const isLonger = cause instanceof Error && "code" in cause && cause.code === "ERR_BUFFER_TOO_LARGE";
    if (isLonger) throw damaged(source, `${where} that unpacks to more than the ${size} bytes its directory says`);
    throw damaged(source, `${where}, which does not unpack (${cause instanceof Error ? cause.message : "damaged"})`);
  }
  const more = data.length > size ? " or more" : "";
  if (data.length !== size) throw damaged(source, `${where} of ${size} bytes that unpacks to ${data.length}${more}`);
  return data;
}

/** Where the directory lies, from the record at the end of the file or its zip64 form. */
function directoryPlace(view: DataView, source: string): { start: number; size: number; count: number } {
  const lowest = Math.max(0, view.byteLength - END_BYTES - MAX_COMMENT_BYTES);
  let end = view.byteLength - END_BYTES;
  while (end >= lowest && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < lowest) throw damaged(source, "no directory at its end (truncated)");
  const place = zip64Place(view, end - LOCATOR_BYTES) ?? {
    count: view.getUint16(end + 10, true),
    size: view.getUint32(end + 12, true),
    start: view.getUint32(end + 16, true),
  };
  if (place.start + place.size > end || place.count * ENTRY_BYTES > place.size) {
    const { count, size, start } = place;
    throw damaged(source, `a directory of ${count} entries in ${size} bytes at byte ${start}, which do not fit`);
  }
  return place;
}

function zip64Place(view: DataView, locator: number): { start: number; size: number; count: number } | undefined {
  if (locator < 0 || view.getUint32(locator, true) !== 0x07064b50) return undefined;
  const record = wide(view, locator + 8);
  if (record + 56 > locator || view.getUint32(record, true) !== 0x06064b50) return undefined;
  return { count: wide(view, record + 32), size: wide(view, record + 40), start: wide(view, record + 48) };
}

function directoryEntry(
  view: DataView,
  place: { at: number; nameBytes: number; extraBytes: number; source: string },
): ZipEntry {
  const { at, nameBytes, extraBytes } = place;
  const nameStart = at + ENTRY_BYTES;
  const name = new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + nameStart, nameBytes));
  const stored = { raw: view.getUint32(at + 24, true), packed: view.getUint32(at + 20, true) };
  const header = view.getUint32(at + 42, true);
  // Numbers of 32 set bits stand in the zip64 field instead, in this order.
  const waiting = zip64Numbers(view, nameStart + nameBytes, extraBytes);
  const take = (value: number): number => (value === 0xffffffff ? (waiting.shift() ?? value) : value);
  const size = take(stored.raw);
  const packedSize = take(stored.packed);
  const flags = view.getUint16(at + 8, true);
  return {
    name,
    size,
    packedSize,
    method: view.getUint16(at + 10, true),
    isEncrypted: (flags & 1) !== 0,
    crc32: view.getUint32(at + 16, true),
    headerStart: take(header),
  };
}

/** The 64-bit numbers of a zip64 extra field, or none. */
function zip64Numbers(view: DataView, start: number, length: number): number[] {
  for (let at = start; at + 4 <= start + length; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    const available = Math.min(view.getUint16(at + 2, true), start + length - at - 4);
    return Array.from({ length: Math.floor(available / 8) }, (_, i) => wide(view, at + 4 + 8 * i));
  }
  return [];
}

/** A 64-bit number; beyond 2^53 inexact, and still beyond every file. */
function wide(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}

/** Entries over the same bytes would make a small file large. */
function refuseOverlaps(entries: readonly ZipEntry[], source: string): void {
  const inOrder = [...entries].sort((a, b) => a.headerStart - b.headerStart);
  let end = 0;
  for (const { name, headerStart, packedSize } of inOrder) {
    if (headerStart < end) throw damaged(source, `the entry ${quote(name)} over the bytes of another`);
    end = headerStart + LOCAL_BYTES + packedSize;
  }
}

function damaged(source: string, found: string): Error {
  return badPytorch({ source, found, expected: "a whole zip file" });
}
