/** Whether what a format read is tensors: a plugin's decoder may be wrong where the file is right. */
import { sizeOfShape } from "../data/tensor.ts";

/** The typed array of each element type. */
const arrays: Readonly<Record<string, new (length: number) => ArrayBufferView>> = {
  ...{ f32: Float32Array, f64: Float64Array, f16: Uint16Array, bf16: Uint16Array, bool: Uint8Array },
  ...{ u8: Uint8Array, i8: Int8Array, u16: Uint16Array, i16: Int16Array, u32: Uint32Array, i32: Int32Array },
  ...{ u64: BigUint64Array, i64: BigInt64Array },
};

/** What is wrong with the content of a file, to be put after "decode returned"; undefined where every tensor is whole. O(tensors). */
export function contentFault(content: unknown): string | undefined {
  const { tensors, metadata } = (content ?? {}) as { readonly tensors?: unknown; readonly metadata?: unknown };
  if (!Array.isArray(tensors)) return `${Array.isArray(content) ? "a list" : typeof content} without 'tensors'`;
  if (metadata !== undefined && (typeof metadata !== "object" || metadata === null))
    return "metadata that are no object";
  for (const tensor of tensors) {
    const fault = tensorFault((tensor ?? {}) as Readonly<Record<string, unknown>>);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function tensorFault({ name, dtype, shape, data }: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof name !== "string") return "a tensor without a name";
  const label = `a tensor '${name.slice(0, 100)}'`;
  const array = typeof dtype === "string" && Object.hasOwn(arrays, dtype) ? arrays[dtype] : undefined;
  if (!array) return `${label} with the dtype ${JSON.stringify(dtype)}, known: ${Object.keys(arrays).join(", ")}`;
  if (!Array.isArray(shape) || !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)) {
    return `${label} whose shape is no list of whole numbers`;
  }
  if (!(data instanceof array)) {
    return `${label} of ${String(dtype)} whose data are no ${array.name}`;
  }
  const { length } = data as unknown as ArrayLike<unknown>;
  const size = sizeOfShape(shape as readonly number[]);
  return length === size ? undefined : `${label} with ${length} numbers for the shape [${shape.join(", ")}]`;
}
