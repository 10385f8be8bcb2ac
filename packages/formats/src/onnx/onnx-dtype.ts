/** ONNX's element types (TensorProto.DataType), and which of them are read as numbers. */
import type { TensorDtype } from "../dtype.ts";

/** By number. A dtype of this package where elements are read, else ONNX's name in capitals. */
const NAMES: readonly string[] = [
  "UNDEFINED",
  ...["f32", "u8", "i8", "u16", "i16", "i32", "i64", "STRING", "bool", "f16", "f64", "u32", "u64"],
  ...["COMPLEX64", "COMPLEX128", "bf16", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"],
  ...["UINT4", "INT4", "FLOAT4E2M1", "FLOAT8E8M0", "UINT2", "INT2", "FLOAT6E2M3", "FLOAT6E3M2"],
];

/** Bits of an element of the types that are not read; strings have no size. */
const OPAQUE_BITS: Readonly<Record<string, number>> = {
  ...{ COMPLEX64: 64, COMPLEX128: 128, FLOAT8E4M3FN: 8, FLOAT8E4M3FNUZ: 8, FLOAT8E5M2: 8, FLOAT8E5M2FNUZ: 8 },
  ...{ UINT4: 4, INT4: 4, FLOAT4E2M1: 4, FLOAT8E8M0: 8, UINT2: 2, INT2: 2, FLOAT6E2M3: 6, FLOAT6E3M2: 6 },
};

/** The name of an element type, or undefined for a number that means none. */
export function onnxDtypeName(type: number): string | undefined {
  return type > 0 ? NAMES[type] : undefined;
}

/** The number of an element type that this package reads. */
export function onnxDtypeNumber(dtype: TensorDtype): number {
  return NAMES.indexOf(dtype);
}

/** Bits of an element whose type is not read; undefined for those that are, and for strings. */
export function opaqueBits(name: string): number | undefined {
  return OPAQUE_BITS[name];
}
