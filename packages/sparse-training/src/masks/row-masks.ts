/** Masks of whole rows: the weights of one output, a filter of a convolution. */
import type { Mask, Mat, ParamInfo } from "@secateur/core";

/** Sums of magnitudes of the rows of a matrix, [rows]. */
export function rowSums({ rows, cols }: Pick<ParamInfo, "rows" | "cols">, w: Mat): Float64Array {
  return Float64Array.from({ length: rows }, (_, r) => {
    let sum = 0;
    for (let i = r * cols; i < (r + 1) * cols; i++) sum += Math.abs(w.data[i]!);
    return sum;
  });
}

/** Indices of the `keep` rows of highest score, ties to the lower index. */
export function highestRows(scores: Float64Array, keep: number): ReadonlySet<number> {
  const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b);
  return new Set(order.slice(0, keep));
}

/** The mask of some rows, within the mask so far. */
export function rowMask(spec: {
  param: Pick<ParamInfo, "rows" | "cols">;
  kept: ReadonlySet<number>;
  mask: Mask | undefined;
}): Mask {
  const { param, kept, mask } = spec;
  const { rows, cols } = param;
  return Uint8Array.from({ length: rows * cols }, (_, i) => (kept.has(Math.floor(i / cols)) ? (mask?.[i] ?? 1) : 0));
}
