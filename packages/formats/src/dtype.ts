/** The element types a tensor in a file may have. f16 and bf16 are kept as raw bits; `toFloat32` converts them. */

/** Which array holds the elements of each dtype; its length is the number of elements. */
export interface ArrayOfDtype {
  bool: Uint8Array;
  u8: Uint8Array;
  i8: Int8Array;
  i16: Int16Array;
  u16: Uint16Array;
  /** raw IEEE 754 half-precision bits */
  f16: Uint16Array;
  /** raw bits: the upper half of an f32 */
  bf16: Uint16Array;
  i32: Int32Array;
  u32: Uint32Array;
  f32: Float32Array;
  f64: Float64Array;
  i64: BigInt64Array;
  u64: BigUint64Array;
}

/** An element type of a tensor in a file. */
export type TensorDtype = keyof ArrayOfDtype;

interface ElementType<D extends TensorDtype> {
  /** bytes of one element */
  readonly bytes: number;
  view(buffer: ArrayBufferLike, byteOffset: number, length: number): ArrayOfDtype[D];
}

/**
 * Every dtype with its element size. The order is the one in which the safetensors reference implementation lays
 * tensors out (from last to first), so that what is written here is laid out alike.
 */
const ELEMENT_TYPES: { readonly [D in TensorDtype]: ElementType<D> } = {
  bool: { bytes: 1, view: (buffer, offset, length) => new Uint8Array(buffer, offset, length) },
  u8: { bytes: 1, view: (buffer, offset, length) => new Uint8Array(buffer, offset, length) },
  i8: { bytes: 1, view: (buffer, offset, length) => new Int8Array(buffer, offset, length) },
  i16: { bytes: 2, view: (buffer, offset, length) => new Int16Array(buffer, offset, length) },
  u16: { bytes: 2, view: (buffer, offset, length) => new Uint16Array(buffer, offset, length) },
  f16: { bytes: 2, view: (buffer, offset, length) => new Uint16Array(buffer, offset, length) },
  bf16: { bytes: 2, view: (buffer, offset, length) => new Uint16Array(buffer, offset, length) },
  i32: { bytes: 4, view: (buffer, offset, length) => new Int32Array(buffer, offset, length) },
  u32: { bytes: 4, view: (buffer, offset, length) => new Uint32Array(buffer, offset, length) },
  f32: { bytes: 4, view: (buffer, offset, length) => new Float32Array(buffer, offset, length) },
  f64: { bytes: 8, view: (buffer, offset, length) => new Float64Array(buffer, offset, length) },
  i64: { bytes: 8, view: (buffer, offset, length) => new BigInt64Array(buffer, offset, length) },
  u64: { bytes: 8, view: (buffer, offset, length) => new BigUint64Array(buffer, offset, length) },
};

/** Every dtype, narrowest first. */
export const TENSOR_DTYPES: readonly TensorDtype[] = Object.keys(ELEMENT_TYPES) as TensorDtype[];

/** Bytes of one element: 1, 2, 4 or 8. */
export function bytesPerElement(dtype: TensorDtype): number {
  return ELEMENT_TYPES[dtype].bytes;
}

/**
 * The elements stored in `bytes`, whose length is a multiple of the element size. A view where the bytes are aligned
 * and in this machine's order, else a copy of exactly that size.
 *
 * @param bytes - the elements, nothing before or after them
 * @param littleEndian - the byte order they are stored in
 */
export function elementsFrom<D extends TensorDtype>(
  dtype: D,
  bytes: Uint8Array,
  littleEndian: boolean,
): ArrayOfDtype[D] {
  const type: ElementType<D> = ELEMENT_TYPES[dtype];
  const length = bytes.byteLength / type.bytes;
  const mustSwap = type.bytes > 1 && littleEndian !== HOST_IS_LITTLE_ENDIAN;
  if (!mustSwap && bytes.byteOffset % type.bytes === 0) return type.view(bytes.buffer, bytes.byteOffset, length);
  const copy = new Uint8Array(bytes);
  if (mustSwap) reverseEach(copy, type.bytes);
  return type.view(copy.buffer, 0, length);
}

/** Copies elements into `out` from `byteOffset` on, little-endian whatever this machine's order is. */
export function putElements(data: ArrayOfDtype[TensorDtype], out: Uint8Array, byteOffset: number): void {
  out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), byteOffset);
  if (!HOST_IS_LITTLE_ENDIAN) {
    reverseEach(out.subarray(byteOffset, byteOffset + data.byteLength), data.BYTES_PER_ELEMENT);
  }
}

/** Whether this machine's order is little-endian. */
export const HOST_IS_LITTLE_ENDIAN: boolean = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Reverses the bytes of every element in place. */
function reverseEach(bytes: Uint8Array, width: number): void {
  for (let start = 0; start < bytes.length; start += width) bytes.subarray(start, start + width).reverse();
}
