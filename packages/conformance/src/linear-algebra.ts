/** Gaussian elimination with partial pivoting on small dense f64 systems: the oracle of the suites. O(n^3). */
import { type Mat, PruneError } from "@secateur/core";

/** A pivot below this fraction of the largest entry is rounding: the system is singular. */
const lost = 1e-13;

/**
 * Solves A X = B for `width` right-hand sides.
 *
 * @param A - [n, n], left as it is
 * @param B - [n, width]
 * @returns X [n, width]; undefined when A is singular at working precision
 */
export function solveDense(A: Mat, B: Float64Array, width: number): Float64Array | undefined {
  const n = A.rows;
  const left = Float64Array.from(A.data);
  const right = B.slice();
  const largest = left.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (let c = 0; c < n; c++) {
    let pivot = c;
    for (let r = c + 1; r < n; r++) if (Math.abs(left[r * n + c]!) > Math.abs(left[pivot * n + c]!)) pivot = r;
    if (!(Math.abs(left[pivot * n + c]!) > lost * largest)) return undefined;
    swapRows(left, n, c, pivot);
    swapRows(right, width, c, pivot);
    for (let r = 0; r < n; r++) {
      if (r === c) continue;
      const factor = left[r * n + c]! / left[c * n + c]!;
      for (let j = c; j < n; j++) left[r * n + j]! -= factor * left[c * n + j]!;
      for (let j = 0; j < width; j++) right[r * width + j]! -= factor * right[c * width + j]!;
    }
  }
  return right.map((value, i) => value / left[Math.floor(i / width) * (n + 1)]!);
}

/** The inverse [n, n] of a positive definite matrix. @throws ERR_SINGULAR, as an estimator would, naming the damping */
export function inverseOf(A: Mat, damping: number): Float64Array {
  const n = A.rows;
  const identity = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  const inverse = solveDense(A, identity, n);
  if (inverse) return inverse;
  throw new PruneError("ERR_SINGULAR", `the curvature is singular with damping ${damping}; raise the ridge`, {
    fault: "runtime",
  });
}

function swapRows(data: Float64Array, width: number, a: number, b: number): void {
  if (a === b) return;
  for (let j = 0; j < width; j++) {
    const held = data[a * width + j]!;
    data[a * width + j] = data[b * width + j]!;
    data[b * width + j] = held;
  }
}
