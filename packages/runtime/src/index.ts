/**
 * @secateur/runtime: loads packed sparse networks and runs them, in browsers and Node, without dependencies.
 * @packageDocumentation
 */

export { type DecodeOptions, decodePacked } from "./file/decode-packed.ts";
export type {
  Attribute,
  BoundState,
  Extent,
  KernelName,
  PackedHeader,
  PackedModel,
  PackedOperator,
  PackedTensor,
  PackedValue,
  TensorEntry,
  ValueType,
} from "./file/packed-model.ts";
export type { InputTensor, Tensor } from "./inputs.ts";
export type { KernelBuild } from "./kernel-builds.ts";
export { type LoadOptions, load, type OperatorTime, type Session } from "./session.ts";
