import { type ArrayOfDtype, bytesPerElement, elementsFrom, type TensorDtype } from "../dtype.ts";
import { badNpy } from "../errors.ts";
import { copyRowMajor } from "../pytorch/strided.ts";
import { elementCount, type Tensor } from "../tensor.ts";
import { parseNpyHeader } from "./npy-header.ts";

/**
 * Reads a whole .npy file (versions 1 to 3; booleans, integers, f16, f32, f64; either byte order; C or Fortran order).
 *
 * The result is row-major in this machine's byte order, with the file's dtype: convert with `toVec` or `toFloat32`.
 * Its data is a view of `bytes` where they are aligned and need no reordering, else a copy; no more is allocated than
 * the size of the file (twice that for data that is both misaligned and in Fortran order).
 *
 * @param bytes - the whole file
 * @param source - name of the file, for messages; default "npy data"
 * @throws ERR_NPY when the bytes are truncated, damaged or followed by others; ERR_DTYPE for objects, text, complex numbers and the like
 * @example
 * const gradients = decodeNpy(bytes, "G.npy"); // { dtype: "f32", shape: [256, 1000], data: Float32Array }
 */
export function decodeNpy(bytes: Uint8Array, source: string = "npy data"): Tensor {
  const { dtype, littleEndian, fortranOrder, shape, dataStart } = parseNpyHeader(bytes, source);
  const expectedBytes = (elementCount(shape) ?? Number.NaN) * bytesPerElement(dtype);
  const describeShape = `shape (${shape.join(", ")}) of ${dtype}`;
  if (!Number.isSafeInteger(expectedBytes)) {
    throw badNpy({ source, found: describeShape, expected: "a shape of less than 2^53 bytes" });
  }
  const dataBytes = bytes.length - dataStart;
  if (dataBytes !== expectedBytes) {
    const found = `${dataBytes} bytes of data`;
    const reason = dataBytes < expectedBytes ? "truncated" : "there is more after the array";
    throw badNpy({ source, found, expected: `${expectedBytes} bytes for ${describeShape} (${reason})` });
  }
  const stored = elementsFrom(dtype, bytes.subarray(dataStart), littleEndian);
  const isReordered = fortranOrder && shape.filter((extent) => extent > 1).length > 1;
  const data = isReordered ? rowMajor(stored, shape) : stored;
  // elementsFrom ties the class of the data to the dtype, which a union of dtypes cannot express.
  return { dtype, shape, data } as Tensor;
}

/** Column-major elements (first index fastest) as a row-major copy. The rank of the shape is >= 1. */
function rowMajor(stored: ArrayOfDtype[TensorDtype], shape: readonly number[]): ArrayOfDtype[TensorDtype] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = 1; axis < shape.length; axis++) strides[axis] = strides[axis - 1]! * shape[axis - 1]!;
  return copyRowMajor(stored, { shape, strides, offset: 0 }, stored.length);
}
