/**
 * @secateur/formats: bytes to named tensors and back, and files that appear whole or not at all.
 * @packageDocumentation
 */
export { type CheckpointEncoder, checkpointEncoderFor } from "./checkpoint-encoder.ts";
export { toFloat32, toFloat64, toVec } from "./convert.ts";
export { decodeCheckpoint, readCheckpoint } from "./decode-checkpoint.ts";
export { decodeNpy } from "./decode-npy.ts";
export { decodePytorchStream, decodePytorchZip } from "./decode-pytorch.ts";
export { decodeSafetensors } from "./decode-safetensors.ts";
export { detectFormat, type FileFormat } from "./detect-format.ts";
export type { ArrayOfDtype, TensorDtype } from "./dtype.ts";
export { encodeNpy } from "./encode-npy.ts";
export { encodeSafetensors } from "./encode-safetensors.ts";
export { assertFiniteTensors, findNonFinite, type NonFinite } from "./non-finite.ts";
export { checkOutput, type OutputPlace } from "./output-path.ts";
export { readFileBytes, readNpy, readNpyNumbers } from "./read-file.ts";
export { type Checkpoint, elementCount, type NamedTensor, type Tensor } from "./tensor.ts";
export { type WriteOptions, writeFileAtomic } from "./write-file-atomic.ts";
