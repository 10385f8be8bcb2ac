import { decodeSafetensors } from "./decode-safetensors.ts";
import { detectFormat } from "./detect-format.ts";
import { badSafetensors, unsupportedFormat } from "./errors.ts";
import { readFileBytes } from "./read-file.ts";
import type { Checkpoint } from "./tensor.ts";
import { UNSUPPORTED_FORMATS } from "./unsupported-formats.ts";

/**
 * Reads a model file of whatever supported format its content shows (so far safetensors).
 *
 * @param bytes - the whole file
 * @param source - name of the file, for messages
 * @throws ERR_FORMAT saying what the file is and how to convert it; else what the format's decoder throws
 */
export function decodeCheckpoint(bytes: Uint8Array, source: string): Checkpoint {
  const format = detectFormat(bytes);
  if (format === "safetensors") return decodeSafetensors(bytes, source);
  if (bytes.length === 0) throw badSafetensors({ source, found: "an empty file", expected: "a network" });
  throw unsupportedFormat({ source, ...UNSUPPORTED_FORMATS[format] });
}

/**
 * Reads a model file from disk: `decodeCheckpoint` of its bytes. Node only.
 *
 * @throws what `readFileBytes` and `decodeCheckpoint` throw
 * @example
 * const { tensors } = await readCheckpoint("mlpnet.safetensors");
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  return decodeCheckpoint(await readFileBytes(path), path);
}
