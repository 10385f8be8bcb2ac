import { badSafetensors, unsupportedFormat } from "../errors.ts";
import { cleanCheckpoint } from "../names/clean-checkpoint.ts";
import { readPytorchStream, readPytorchZip } from "../pytorch/decode-pytorch.ts";
import { decodeSafetensors } from "../safetensors/decode-safetensors.ts";
import type { Checkpoint } from "../tensor.ts";
import { detectFormat, type FileFormat } from "./detect-format.ts";
import { UNSUPPORTED_FORMATS, type UnsupportedFormat } from "./unsupported-formats.ts";

/** The formats that are read, each with its decoder, which leaves names and masks as they are stored. */
const DECODERS: ReadonlyMap<FileFormat, (bytes: Uint8Array, source: string) => Checkpoint> = new Map([
  ["safetensors", decodeSafetensors],
  ["pytorch-zip", readPytorchZip],
  ["pytorch-pickle", readPytorchStream],
]);

/**
 * Reads a model file of whatever supported format its content shows: safetensors, or a PyTorch checkpoint of either
 * layout, from which nothing is executed. Names and masks are cleaned the same way for every format: see `cleanCheckpoint`.
 *
 * @param bytes - the bytes of the whole file
 * @param source - name of the file, for messages
 * @param options.asStored - leave names and masks as they are in the file; default false
 * @throws ERR_FORMAT saying what the file is and how to convert it; else what the format's decoder throws
 */
export function decodeCheckpoint(
  bytes: Uint8Array,
  source: string,
  options: { readonly asStored?: boolean } = {},
): Checkpoint {
  const format = detectFormat(bytes);
  const decode = DECODERS.get(format);
  if (decode !== undefined) {
    const checkpoint = decode(bytes, source);
    return options.asStored === true ? checkpoint : cleanCheckpoint(checkpoint, source);
  }
  if (bytes.length === 0) throw badSafetensors({ source, found: "an empty file", expected: "a network" });
  throw unsupportedFormat({ source, ...UNSUPPORTED_FORMATS[format as UnsupportedFormat] });
}
