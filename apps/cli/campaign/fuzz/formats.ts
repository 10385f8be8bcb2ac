import { networkDescription, recipe } from "./formats/descriptions.ts";
import { idxFolder } from "./formats/idx.ts";
import { jpeg, png } from "./formats/images.ts";
import { npy } from "./formats/npy.ts";
import { onnx } from "./formats/onnx.ts";
import { packed } from "./formats/packed.ts";
import { pytorchStream, pytorchZip } from "./formats/pytorch.ts";
import { safetensors } from "./formats/safetensors.ts";
import { shardIndex } from "./formats/shard-index.ts";
import { tfjs } from "./formats/tfjs.ts";
import type { FuzzFormat } from "./fuzz-format.ts";

/** Every format under test, opened when it is asked for: some have a folder, which `close` takes away. */
export const fuzzFormats: Readonly<Record<string, () => FuzzFormat | Promise<FuzzFormat>>> = {
  safetensors: () => safetensors,
  "pytorch-zip": () => pytorchZip,
  "pytorch-stream": () => pytorchStream,
  "shard-index": shardIndex,
  npy: () => npy,
  tfjs: () => tfjs,
  idx: idxFolder,
  onnx: () => onnx,
  secateur: packed,
  recipe,
  network: networkDescription,
  png,
  jpeg,
};
