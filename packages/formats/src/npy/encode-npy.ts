import type { Vec } from "@secateur/core";
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
  const descr = data instanceof Float64Array ? "<f8" : "<f4";
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const literal = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${tuple}), }`;
  const dataStart = Math.ceil((10 + literal.length + 1) / 64) * 64;

  const file = new Uint8Array(dataStart + data.byteLength);
  file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  new DataView(file.buffer).setUint16(8, dataStart - 10, true);
  file.fill(0x20, 10, dataStart - 1);
  file.set(new TextEncoder().encode(literal), 10);
  file[dataStart - 1] = 0x0a;
  putElements(data, file, dataStart);
  return file;
}
