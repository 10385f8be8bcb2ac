import { badSafetensors, unsupportedFormat } from "../errors.ts";
import { decodePytorchStream, decodePytorchZip } from "../pytorch/decode-pytorch.ts";
import { decodeSafetensors } from "../safetensors/decode-safetensors.ts";
import type { Checkpoint } from "../tensor.ts";
import { detectFormat, type FileFormat } from "./detect-format.ts";
import { readFileBytes } from "./read-file.ts";
import { UNSUPPORTED_FORMATS, type UnsupportedFormat } from "./unsupported-formats.ts";

/** The formats that are read, each with its decoder. */
const DECODERS: ReadonlyMap<FileFormat, (bytes: Uint8Array, source: string) => Checkpoint> = new Map([
  ["safetensors", decodeSafetensors],
  ["pytorch-zip", decodePytorchZip],
  ["pytorch-pickle", decodePytorchStream],
]);

/**
 * Reads a model file of whatever supported format its content shows: safetensors, or a PyTorch checkpoint of either
 * layout, from which nothing is executed.
 *
 * @param bytes - the bytes of the whole file
 * @param source - name of the file, for messages
 * @throws ERR_FORMAT saying what the file is and how to convert it; else what the format's decoder throws
 */
export function decodeCheckpoint(bytes: Uint8Array, source: string): Checkpoint {
  const format = detectFormat(bytes);
  const decode = DECODERS.get(format);
  if (decode !== undefined) return decode(bytes, source);
  if (bytes.length === 0) throw badSafetensors({ source, found: "an empty file", expected: "a network" });
  throw unsupportedFormat({ source, ...UNSUPPORTED_FORMATS[format as UnsupportedFormat] });
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
