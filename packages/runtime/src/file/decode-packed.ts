import { packedDamaged, packedMemory, quoted } from "../errors.ts";
import { crc32 } from "./crc32.ts";
import { decodeTensor, maskLength, valueLength } from "./decode-tensor.ts";
import { inflate } from "./inflate.ts";
import type { PackedHeader, PackedModel, PackedTensor } from "./packed-model.ts";
import { prefixBytes, readPrefix } from "./prefix.ts";
import { readHeader } from "./read-header.ts";

/** What `decodePacked` may use. */
export interface DecodeOptions {
  /** The most that unpacked streams, and all tensors together, may take; default 2 GiB. */
  readonly maxMemoryBytes?: number;
}

const defaultMaxMemoryBytes = 2 ** 31;

/**
 * Reads a .secateur file: its graph, its metadata and its tensors with zeros where nothing is kept. Nothing of it is kept: `bytes` may be
 * reused.
 *
 * @throws ERR_PACKED_MAGIC, ERR_PACKED_VERSION, ERR_PACKED_DAMAGED (naming the tensor whose checksum fails), ERR_PACKED_GRAPH,
 *   ERR_PACKED_MEMORY
 */
export async function decodePacked(bytes: Uint8Array, options: DecodeOptions = {}): Promise<PackedModel> {
  const { header, masks, values } = await openPacked(bytes, options);
  const tensors = new Map<string, PackedTensor>();
  let [maskAt, valueAt] = [0, 0];
  for (const entry of header.tensors) {
    const [maskEnd, valueEnd] = [maskAt + maskLength(entry), valueAt + valueLength(entry)];
    const mask = masks.subarray(maskAt, maskEnd);
    const stored = values.subarray(valueAt, valueEnd);
    if (crc32(stored, crc32(mask)) !== entry.crc32) {
      throw packedDamaged(`tensor ${quoted(entry.name)}`, "its checksum does not fit its bytes");
    }
    tensors.set(entry.name, { ...entry, ...decodeTensor(entry, mask, stored) });
    [maskAt, valueAt] = [maskEnd, valueEnd];
  }
  return { ...header, tensors };
}

/** The header alone, and what the file holds of each stream. @throws as `decodePacked` */
async function openPacked(
  given: Uint8Array,
  { maxMemoryBytes = defaultMaxMemoryBytes }: DecodeOptions = {},
): Promise<{ header: PackedHeader; masks: Uint8Array; values: Uint8Array }> {
  // Slices of Node's Buffers are no copies, and their memory holds more than they do.
  const bytes = new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
  const prefix = readPrefix(bytes);
  const { headerBytes, maskBytes, valueBytes } = prefix;
  const rawBytes = headerBytes + maskBytes + valueBytes;
  if (rawBytes > maxMemoryBytes) throw packedMemory("what it unpacks to", rawBytes, maxMemoryBytes);
  const stored = bytes.slice(prefixBytes);
  const raw = prefix.compression === 1 ? await inflate(stored, rawBytes) : stored;
  const json = raw.subarray(0, headerBytes);
  if (crc32(json, crc32(bytes.subarray(0, prefixBytes - 4))) !== prefix.crc32) {
    throw packedDamaged("header", "its checksum does not fit its bytes");
  }
  const header = readHeader(json);
  const sum = (length: (entry: PackedHeader["tensors"][number]) => number): number =>
    header.tensors.reduce((total, entry) => total + length(entry), 0);
  for (const [stream, found, promised] of [
    ["masks", maskBytes, sum(maskLength)],
    ["values", valueBytes, sum(valueLength)],
  ] as const) {
    if (found !== promised) throw packedDamaged(stream, `its tensors need ${promised} bytes and it has ${found}`);
  }
  const weights = sum(({ dims }) => dims.reduce((product, extent) => product * extent, 4));
  if (weights > maxMemoryBytes) throw packedMemory("its tensors", weights, maxMemoryBytes);
  return {
    header,
    masks: raw.subarray(headerBytes, headerBytes + maskBytes),
    values: raw.subarray(headerBytes + maskBytes),
  };
}
