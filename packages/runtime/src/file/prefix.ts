/** The 32 bytes that a packed file begins with. */
import { notPacked, packedDamaged, packedVersion } from "../errors.ts";

/** The first byte is no text, the line ends show files that were copied as text, 1a ends a listing: as PNG does it. */
export const magic: readonly number[] = [0x89, 0x53, 0x45, 0x43, 0x0d, 0x0a, 0x1a, 0x0a];
export const prefixBytes = 32;
/** The version that is written, and the newest that is read. */
export const packedFileVersion = 1;
/** A deflate stream can hold no more than this many bytes for one of its own. */
const deflateRatio = 1032;

/** What the prefix says. */
export interface Prefix {
  /** 0: as it is, 1: gzip. */
  readonly compression: number;
  readonly headerBytes: number;
  readonly maskBytes: number;
  readonly valueBytes: number;
  /** Bytes behind the prefix, as stored. */
  readonly storedBytes: number;
  /** CRC-32 of bytes 0 to 27 and the header. */
  readonly crc32: number;
}

/** @throws ERR_PACKED_MAGIC, ERR_PACKED_VERSION, ERR_PACKED_DAMAGED */
export function readPrefix(bytes: Uint8Array): Prefix {
  if (magic.some((byte, i) => bytes[i] !== byte)) throw notPacked(describeStart(bytes));
  if (bytes.length < prefixBytes) throw packedDamaged("prefix", `it has ${bytes.length} of ${prefixBytes} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, prefixBytes);
  const version = view.getUint16(8, true);
  if (version !== packedFileVersion) throw packedVersion(version, packedFileVersion);
  const [compression, reserved] = [view.getUint8(10), view.getUint8(11)];
  if (compression > 1 || reserved !== 0) {
    throw packedDamaged(
      "prefix",
      `its compression is ${compression} and its reserved byte ${reserved}; known are 0 (none), 1 (gzip), and 0`,
    );
  }
  const [headerBytes, maskBytes, valueBytes, storedBytes, crc32] = [12, 16, 20, 24, 28].map((at) =>
    view.getUint32(at, true),
  ) as [number, number, number, number, number];
  if (storedBytes !== bytes.length - prefixBytes) {
    throw packedDamaged("prefix", `it says that ${storedBytes} bytes follow, and ${bytes.length - prefixBytes} do`);
  }
  const rawBytes = headerBytes + maskBytes + valueBytes;
  if (compression === 0 ? rawBytes !== storedBytes : rawBytes > storedBytes * deflateRatio) {
    throw packedDamaged("prefix", `${storedBytes} stored bytes cannot hold the ${rawBytes} that it promises`);
  }
  return { compression, headerBytes, maskBytes, valueBytes, storedBytes, crc32 };
}

function describeStart(bytes: Uint8Array): string {
  if (bytes.length === 0) return "it is empty";
  const text = String.fromCharCode(...bytes.subarray(0, 64))
    .trimStart()
    .toLowerCase();
  if (text.startsWith("<!doctype") || text.startsWith("<html")) return "it is an HTML page";
  const first = [...bytes.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0"));
  return `it begins with ${first.join(" ")}`;
}
