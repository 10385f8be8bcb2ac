/**
 * @secateur/formats: bytes to named tensors and back, and files that appear whole or not at all.
 * @packageDocumentation
 */

export { type ArrayOfDtype, elementsFrom, putElements, type TensorDtype } from "./dtype.ts";
export { type CheckpointEncoder, checkpointEncoderFor } from "./files/checkpoint-encoder.ts";
export { type FloatDtype, isFloatDtype, tensorOf, toFloat32, toFloat64, toVec } from "./files/convert.ts";
export { decodeCheckpoint } from "./files/decode-checkpoint.ts";
export { detectFormat, type FileFormat } from "./files/detect-format.ts";
export { makeFolder } from "./files/make-folder.ts";
export { checkOutput, type OutputPlace } from "./files/output-path.ts";
export {
  type CheckpointFiles,
  checkpointFilesOf,
  readCheckpoint,
  readCheckpointFiles,
} from "./files/read-checkpoint.ts";
export { assertThere, readFileBytes, readNpy, readNpyNumbers } from "./files/read-file.ts";
export { asTensorLike } from "./files/to-dtype.ts";
export { type WriteOptions, writeFileAtomic } from "./files/write-file-atomic.ts";
export { cleanCheckpoint } from "./names/clean-checkpoint.ts";
export { type DenseStack, denseStack } from "./names/dense-stack.ts";
export { matchTensors, type TensorMatch } from "./names/match-tensors.ts";
export type { ShapedName } from "./names/shaped-name.ts";
export { decodeNpy } from "./npy/decode-npy.ts";
export { encodeNpy, encodeNpyHeader } from "./npy/encode-npy.ts";
export type { NpyHeader } from "./npy/npy-header.ts";
export { readNpyHeader } from "./npy/read-npy-header.ts";
export { readNpyInto } from "./npy/read-npy-into.ts";
export { readNpzNumbers } from "./npy/read-npz.ts";
export { decodeOnnx } from "./onnx/decode-onnx.ts";
export { encodeOnnx, type NewOnnxModel } from "./onnx/encode-onnx.ts";
export { onnxTensors } from "./onnx/onnx-checkpoint.ts";
export { withOnnxMetadata, withOnnxOutputs } from "./onnx/onnx-metadata.ts";
export type {
  ExternalPlace,
  OnnxAttribute,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxTensor,
  OnnxValue,
  OpaqueTensor,
} from "./onnx/onnx-model.ts";
export type { ExternalData } from "./onnx/onnx-tensor.ts";
export { outlineOnnx, readOnnx } from "./onnx/read-onnx.ts";
export { replaceOnnxTensors } from "./onnx/replace-tensors.ts";
export { type ChangedNode, type ChangedTensor, type OnnxRewriting, rewriteOnnx } from "./onnx/rewrite-onnx.ts";
export { decodePytorchStream, decodePytorchZip } from "./pytorch/decode-pytorch.ts";
export { decodeSafetensors } from "./safetensors/decode-safetensors.ts";
export { encodeSafetensors } from "./safetensors/encode-safetensors.ts";
export { type Checkpoint, elementCount, type NamedTensor, type Tensor } from "./tensor.ts";
export { assertFiniteTensors, findNonFinite, type NonFinite } from "./text/non-finite.ts";
