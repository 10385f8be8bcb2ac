import { describeFormat, describePlugin } from "@secateur/conformance";
import type { StoredContent, StoredTensor } from "@secateur/core";
import { test } from "vitest";
import { TENSOR_DTYPES } from "./dtype.ts";
import { decodeNpy } from "./npy/decode-npy.ts";
import { encodeNpy } from "./npy/encode-npy.ts";
import { modelBytes } from "./onnx/onnx.test-support.ts";
import plugin from "./plugin.ts";
import { decodePytorchStream, decodePytorchZip } from "./pytorch/decode-pytorch.ts";
import { floats, py, tensorPickle, torchStream, torchZip } from "./pytorch/pytorch.test-support.ts";
import { decodeSafetensors } from "./safetensors/decode-safetensors.ts";
import { encodeSafetensors } from "./safetensors/encode-safetensors.ts";
import type { Checkpoint, NamedTensor } from "./tensor.ts";

/** A checkpoint's tensors as the suite compares them. */
const contentOf = ({ tensors, metadata }: Checkpoint): StoredContent => ({
  tensors: tensors as readonly StoredTensor[],
  metadata,
});

describeFormat({
  test,
  name: "safetensors",
  dtypes: TENSOR_DTYPES,
  hasMetadata: true,
  encode: ({ tensors, metadata = {} }) => encodeSafetensors({ tensors: tensors as readonly NamedTensor[], metadata }),
  decode: (bytes, source) => contentOf(decodeSafetensors(bytes, source)),
});

describeFormat({
  test,
  name: "npy",
  isSingle: true,
  encode: ({ tensors: [tensor] }) => encodeNpy(tensor as { shape: readonly number[]; data: Float32Array }),
  decode: (bytes, source) => ({ tensors: [{ name: "npy", ...decodeNpy(bytes, source) }] as readonly StoredTensor[] }),
});

const body = py.dict({ w: tensorPickle({ length: 2 }) });
const storages = { "0": floats(1.5, -2) };
const tensors = [{ name: "w", dtype: "f32", shape: [2], data: Float32Array.of(1.5, -2) }];

describeFormat({
  test,
  name: "PyTorch's zip layout",
  // A zip file is found from its end and may have a comment there.
  allowsTrailingBytes: true,
  decode: (bytes, source) => contentOf(decodePytorchZip(bytes, source)),
  samples: [{ name: "a state dict", bytes: torchZip(body, storages), tensors }],
});

describeFormat({
  test,
  name: "PyTorch's older layout",
  // As torch.load, which reads on a stream just as far as the storages go.
  allowsTrailingBytes: true,
  decode: (bytes, source) => contentOf(decodePytorchStream(bytes, source)),
  samples: [{ name: "a state dict", bytes: torchStream(body, storages), tensors }],
});

describePlugin({
  test,
  plugin,
  claims: {
    "format safetensors": { dtypes: TENSOR_DTYPES, hasMetadata: true },
    "format npy": { isSingle: true },
    "format onnx": {
      samples: [
        {
          ...{ name: "a model of one product", bytes: modelBytes() },
          tensors: [{ name: "w", dtype: "f32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
        },
      ],
    },
    "format pytorch": {
      allowsTrailingBytes: true,
      samples: [{ name: "a state dict", bytes: torchZip(body, storages), tensors }],
    },
  },
});
