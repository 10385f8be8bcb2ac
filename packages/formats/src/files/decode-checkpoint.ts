import { badSafetensors, unsupportedFormat } from "../errors.ts";
import { decodeOnnx } from "../onnx/decode-onnx.ts";
import { onnxCheckpoint } from "../onnx/onnx-checkpoint.ts";
import type { ExternalData } from "../onnx/onnx-tensor.ts";
import { dataBeside } from "../onnx/read-onnx.ts";
import { decodePytorchStream, decodePytorchZip } from "../pytorch/decode-pytorch.ts";
import { decodeSafetensors } from "../safetensors/decode-safetensors.ts";
import type { Checkpoint } from "../tensor.ts";
import { detectFormat, type FileFormat } from "./detect-format.ts";
import { readFileBytes } from "./read-file.ts";
import { UNSUPPORTED_FORMATS, type UnsupportedFormat } from "./unsupported-formats.ts";

type Decoder = (bytes: Uint8Array, source: string, external?: ExternalData) => Checkpoint;

/** The formats that are read, each with its decoder. */
const DECODERS: ReadonlyMap<FileFormat, Decoder> = new Map<FileFormat, Decoder>([
  ["safetensors", decodeSafetensors],
  ["pytorch-zip", decodePytorchZip],
  ["pytorch-pickle", decodePytorchStream],
  ["onnx", (bytes, source, external) => onnxCheckpoint(decodeOnnx(bytes, source, external))],
]);

/**
 * Reads a model file of whatever supported format its content shows: safetensors, ONNX, or a PyTorch checkpoint of either
 * layout, from which nothing is executed.
 *
 * @param bytes - the bytes of the whole file
 * @param source - name of the file, for messages
 * @throws ERR_FORMAT saying what the file is and how to convert it; else what the format's decoder throws
 */
export function decodeCheckpoint(bytes: Uint8Array, source: string): Checkpoint {
  return decode(bytes, source);
}

function decode(bytes: Uint8Array, source: string, external?: ExternalData): Checkpoint {
  const format = detectFormat(bytes);
  const decoder = DECODERS.get(format);
  if (decoder !== undefined) return decoder(bytes, source, external);
  if (bytes.length === 0) throw badSafetensors({ source, found: "an empty file", expected: "a network" });
  throw unsupportedFormat({ source, ...UNSUPPORTED_FORMATS[format as UnsupportedFormat] });
}

/**
 * Reads a model file from disk: `decodeCheckpoint` of its bytes, and an ONNX model's data in files beside it. Node only.
 *
 * @throws what `readFileBytes` and `decodeCheckpoint` throw
 * @example
 * const { tensors } = await readCheckpoint("mlpnet.safetensors");
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  return decode(await readFileBytes(path), path, dataBeside(path));
}
