/** What the checks of kernels ask of single operands, in the same words for every kernel. */
import { dtypeOf, type Mat, type Vec } from "../problem/matrix.ts";

/** @throws RangeError unless every matrix holds as many entries as its rows and columns say, all of one dtype */
export function checkMatrices(kernel: string, matrices: Readonly<Record<string, Mat>>): void {
  let first: Mat | undefined;
  for (const name in matrices) {
    const mat = matrices[name] as Mat;
    if (mat.data.length !== mat.rows * mat.cols) {
      throw new RangeError(`${kernel}: ${name} is ${mat.rows} x ${mat.cols} but holds ${mat.data.length} entries`);
    }
    if (first !== undefined) checkSameDtype(kernel, first.data, mat.data);
    first = mat;
  }
}

/** @throws RangeError unless the vector has so many entries */
export function checkVector(kernel: string, name: string, vector: Vec, length: number): void {
  if (vector.length !== length) {
    throw new RangeError(`${kernel}: ${name} must have ${length} entries; got ${vector.length}`);
  }
}

/** @throws RangeError unless all vectors have one dtype */
export function checkSameDtype(kernel: string, ...vectors: readonly Vec[]): void {
  const first = vectors[0];
  for (const vector of vectors) {
    if (first !== undefined && dtypeOf(vector) !== dtypeOf(first)) {
      throw new RangeError(`${kernel}: operands must share one dtype; got ${dtypeOf(first)} and ${dtypeOf(vector)}`);
    }
  }
}

/** @throws RangeError unless all are below `count` */
export function checkIndices(kernel: string, name: string, indices: Uint32Array, count: number): void {
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number;
    if (index >= count) throw new RangeError(`${kernel}: ${name} ${i} is ${index}; it must be below ${count}`);
  }
}

/** A result written over an operand that is still being read would be silently wrong. @throws RangeError where they share memory */
export function checkApart(kernel: string, out: Vec | Float64Array, input: Vec): void {
  if (out.buffer !== input.buffer || out.byteLength === 0 || input.byteLength === 0) return;
  if (out.byteOffset < input.byteOffset + input.byteLength && input.byteOffset < out.byteOffset + out.byteLength) {
    throw new RangeError(`${kernel}: the result overlaps an operand in memory; give it memory of its own`);
  }
}
