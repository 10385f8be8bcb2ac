import type { Dtype, Vec } from "@secateur/core";
import { putElements } from "../dtype.ts";
import { badTensor } from "../errors.ts";
import { elementCount } from "../tensor.ts";

/**
 * Writes an .npy file (version 1.0, row-major, little-endian) into memory; numpy.load reads it.
 *
 * @param array.shape - extents, outermost first; their product is the length of `data`; [] for a scalar
 * @param array.data - row-major numbers; Float32Array is written as '<f4', Float64Array as '<f8'
 * @returns the whole file, its data aligned to 64 bytes. O(length) time, one allocation of the file's size.
 * @throws ERR_TENSOR when the shape does not fit the data, or the data are of another type
 * @example
 * const file = encodeNpy({ shape: [2, 3], data: new Float32Array(6) });
 */
export function encodeNpy(array: { readonly shape: readonly number[]; readonly data: Vec }): Uint8Array {
  const { shape, data } = array;
  if (elementCount(shape) !== data.length || shape.length > 32) {
    throw badTensor({
      name: "npy",
      found: `shape [${shape.slice(0, 33).join(", ")}] for ${data.length} elements`,
      expected: "at most 32 extents whose product is the number of elements",
    });
  }
  if (!(data instanceof Float32Array || data instanceof Float64Array)) {
    const { name } = (data as { readonly constructor: { readonly name: string } }).constructor;
    throw badTensor({ name: "npy", found: `elements in a ${name}`, expected: "a Float32Array or a Float64Array" });
  }
  const header = encodeNpyHeader({ shape, dtype: data instanceof Float64Array ? "f64" : "f32" });
  const dataStart = header.length;
  const file = new Uint8Array(dataStart + data.byteLength);
  file.set(header);
  putElements(data, file, dataStart);
  return file;
}

/**
 * The header of an .npy file (version 1.0, row-major, little-endian) for whoever writes the data behind it, of which its length is the place.
 *
 * @param array.shape - at most 32 extents, outermost first
 */
export function encodeNpyHeader({
  shape,
  dtype,
}: {
  readonly shape: readonly number[];
  readonly dtype: Dtype;
}): Uint8Array {
  const descr = dtype === "f64" ? "<f8" : "<f4";
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const literal = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${tuple}), }`;
  const header = new Uint8Array(Math.ceil((10 + literal.length + 1) / 64) * 64).fill(0x20);
  header.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  new DataView(header.buffer).setUint16(8, header.length - 10, true);
  header.set(new TextEncoder().encode(literal), 10);
  header[header.length - 1] = 0x0a;
  return header;
}
