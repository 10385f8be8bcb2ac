import { badOnnx, badSafetensors, unsupportedFormat } from "../errors.ts";
import { cleanCheckpoint } from "../names/clean-checkpoint.ts";
import { decodeOnnx } from "../onnx/decode-onnx.ts";
import { onnxCheckpoint } from "../onnx/onnx-checkpoint.ts";
import type { ExternalData } from "../onnx/onnx-tensor.ts";
import { readPytorchStream, readPytorchZip } from "../pytorch/decode-pytorch.ts";
import { decodeSafetensors } from "../safetensors/decode-safetensors.ts";
import type { Checkpoint } from "../tensor.ts";
import { detectFormat, type FileFormat } from "./detect-format.ts";
import { UNSUPPORTED_FORMATS, type UnsupportedFormat } from "./unsupported-formats.ts";

type Decoder = (bytes: Uint8Array, source: string, external?: ExternalData) => Checkpoint;

/** The formats that are read, each with its decoder, which leaves names and masks as they are stored. */
const DECODERS: ReadonlyMap<FileFormat, Decoder> = new Map<FileFormat, Decoder>([
  ["safetensors", decodeSafetensors],
  ["pytorch-zip", readPytorchZip],
  ["pytorch-pickle", readPytorchStream],
  ["onnx", (bytes, source, external) => onnxCheckpoint(decodeOnnx(bytes, source, external))],
]);

/**
 * Reads a model file of whatever supported format its content shows: safetensors, ONNX, or a PyTorch checkpoint of either
 * layout, from which nothing is executed. Names and masks are cleaned the same way for every format: see `cleanCheckpoint`.
 *
 * @param bytes - the bytes of the whole file
 * @param source - name of the file, for messages
 * @throws ERR_FORMAT saying what the file is and how to convert it; else what the format's decoder throws
 */
export function decodeCheckpoint(bytes: Uint8Array, source: string): Checkpoint {
  return cleanCheckpoint(decodeStored(bytes, source), source);
}

/**
 * `decodeCheckpoint` with names and masks as they are in the file.
 *
 * @param external - data of an ONNX model in files beside it
 */
export function decodeStored(bytes: Uint8Array, source: string, external?: ExternalData): Checkpoint {
  const format = detectFormat(bytes);
  const decoder = DECODERS.get(format);
  if (decoder !== undefined) return decoder(bytes, source, external);
  if (bytes.length === 0) {
    const bad = source.toLowerCase().endsWith(".onnx") ? badOnnx : badSafetensors;
    throw bad({ source, found: "an empty file", expected: "a network" });
  }
  throw unsupportedFormat({ source, ...UNSUPPORTED_FORMATS[format as UnsupportedFormat] });
}
