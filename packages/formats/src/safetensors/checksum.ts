/** The checksum of files that secateur writes: safetensors has none, so a flipped bit in a weight would go unnoticed. */
import { badChecksum } from "../errors.ts";
import { crc32 } from "../files/crc32.ts";

/** The metadata entry: the CRC-32 of everything behind the header, in eight hexadecimal digits. */
export const CHECKSUM_KEY = "secateur.crc32";

/** What the entry says of these data. */
export function checksumText(data: Uint8Array): string {
  return crc32(data).toString(16).padStart(8, "0");
}

/** Compares the entry, where there is one, with the data. @throws ERR_CHECKSUM */
export function checkChecksum(spec: {
  metadata: Readonly<Record<string, string>>;
  data: Uint8Array;
  source: string;
}): void {
  const { metadata, data, source } = spec;
  const expected = metadata[CHECKSUM_KEY];
  if (expected === undefined) return;
  const found = checksumText(data);
  if (found !== expected) throw badChecksum({ source, key: CHECKSUM_KEY, found, expected });
}
