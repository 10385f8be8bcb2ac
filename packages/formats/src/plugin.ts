/** The plugin manifest of this package: the formats of named tensors that it reads and writes. */
import { defineEntry, definePlugin, type EntryOf, type Format, noOptions, type Plugin } from "@secateur/core";
import { detectFormat, type FileFormat } from "./files/detect-format.ts";
import { decodeNpy } from "./npy/decode-npy.ts";
import { encodeNpy } from "./npy/encode-npy.ts";
import { decodeOnnx } from "./onnx/decode-onnx.ts";
import { onnxCheckpoint } from "./onnx/onnx-checkpoint.ts";
import { readPytorchStream, readPytorchZip } from "./pytorch/decode-pytorch.ts";
import { decodeSafetensors } from "./safetensors/decode-safetensors.ts";
import { encodeSafetensors } from "./safetensors/encode-safetensors.ts";
import type { NamedTensor } from "./tensor.ts";

/** Detects by the table that also tells what is not read. */
const detects =
  (...names: readonly FileFormat[]) =>
  (head: Uint8Array) =>
    names.includes(detectFormat(head));

const safetensors: Format = {
  endings: [".safetensors"],
  detects: detects("safetensors"),
  decode: decodeSafetensors,
  encode: ({ tensors, metadata = {} }) => encodeSafetensors({ tensors: tensors as readonly NamedTensor[], metadata }),
};

const pytorch: Format = {
  endings: [".pt", ".pth"],
  detects: detects("pytorch-zip", "pytorch-pickle"),
  decode: (bytes, source) =>
    (detectFormat(bytes) === "pytorch-pickle" ? readPytorchStream : readPytorchZip)(bytes, source),
};

const onnx: Format = {
  endings: [".onnx"],
  detects: detects("onnx"),
  decode: (bytes, source) => onnxCheckpoint(decodeOnnx(bytes, source)),
};

const npy: Format = {
  endings: [".npy"],
  detects: detects("npy"),
  decode: (bytes, source) => ({ tensors: [{ name: "npy", ...decodeNpy(bytes, source) }] }),
  encode: ({ tensors: [tensor] }) => encodeNpy(tensor as { shape: readonly number[]; data: Float32Array }),
};

const format = (name: string, summary: string, made: Format): EntryOf<"format"> =>
  defineEntry({ kind: "format", name, summary, options: noOptions, create: () => made });

const plugin: Plugin = definePlugin({
  api: 2,
  name: "@secateur/formats",
  entries: [
    format("safetensors", "named tensors with free text beside them; read and written", safetensors),
    format("pytorch", "checkpoints of torch.save, of both layouts, from which nothing is executed; read", pytorch),
    format("onnx", "the initializers of ONNX graphs; read", onnx),
    format("npy", "one NumPy array; read and written", npy),
  ],
});
export default plugin;
