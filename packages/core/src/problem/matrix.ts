/**
 * The value types every package speaks: plain data, no classes, no handles.
 *
 * Conventions stated once for the whole project: matrices are row-major; the canonical weight of a layer is
 * [out, in * kh * kw]; a mask holds 1 for a kept weight and 0 for a pruned one; sparsity is the fraction removed;
 * a higher score means a more important weight.
 */

/** Element types that numerical code computes in. */
export type Dtype = "f32" | "f64";

/** A dense vector. Its dtype is its class. */
export type Vec = Float32Array | Float64Array;

/** A dense row-major matrix: entry (i, j) is `data[i * cols + j]`, and `data.length === rows * cols`. */
export interface Mat {
  readonly rows: number;
  readonly cols: number;
  readonly data: Vec;
}

/** One byte per unit (per weight, unless units group weights): 1 = keep, 0 = pruned. */
export type Mask = Uint8Array;

/**
 * Wraps data as a row-major matrix without copying it.
 *
 * @param rows - number of rows, >= 0
 * @param cols - number of columns, >= 0
 * @param data - row-major entries, length rows * cols; a new f32 zero vector when left out
 * @throws RangeError when the length of `data` is not rows * cols (a programming error, not bad input)
 */
export function matrix(rows: number, cols: number, data: Vec = new Float32Array(rows * cols)): Mat {
  if (data.length !== rows * cols) {
    throw new RangeError(`a ${rows} x ${cols} matrix needs ${rows * cols} entries; got ${data.length}`);
  }
  return { rows, cols, data };
}

/** A vector [length] of zeros. */
export function zeros(length: number, dtype: Dtype): Vec {
  return dtype === "f64" ? new Float64Array(length) : new Float32Array(length);
}

/** "f32" or "f64", read off the class of a vector of any length. */
export function dtypeOf(vector: Vec): Dtype {
  return vector instanceof Float64Array ? "f64" : "f32";
}
