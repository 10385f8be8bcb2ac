import type { TensorDtype } from "../dtype.ts";

/** The dtype of each name that safetensors headers use, for the dtypes that are read here. */
export const DTYPE_OF_SAFETENSORS: ReadonlyMap<string, TensorDtype> = new Map([
  ["BOOL", "bool"],
  ["U8", "u8"],
  ["I8", "i8"],
  ["I16", "i16"],
  ["U16", "u16"],
  ["F16", "f16"],
  ["BF16", "bf16"],
  ["I32", "i32"],
  ["U32", "u32"],
  ["F32", "f32"],
  ["F64", "f64"],
  ["I64", "i64"],
  ["U64", "u64"],
]);
