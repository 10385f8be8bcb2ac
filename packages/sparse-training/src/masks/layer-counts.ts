/**
 * How many weights each layer keeps, k in all:
 *   uniform:  k_l in proportion to the layer's size;
 *   erk (Erdos-Renyi-Kernel, Mocanu et al. 2018; Evci et al. 2020, section 3): in proportion to the sum of the extents of its shape, in + out for a dense
 *   layer, in + out + kh + kw for a convolution. A layer that would keep more than it has is dense, and the rest is shared anew.
 * Shares are rounded by largest remainders (ties to the earlier layer), so that the counts add up to k.
 */
import type { ParamInfo } from "@secateur/core";

/** Which counts; see the formulas above. */
export type Distribution = "erk" | "uniform";

/**
 * Kept weights by layer, in the order of `params`; the sum is `keep`.
 *
 * @param spec.keep - a whole number from 0 to the size of all
 */
export function layerCounts(spec: {
  params: readonly ParamInfo[];
  keep: number;
  distribution: Distribution;
}): readonly number[] {
  const { params, keep, distribution } = spec;
  const sizes = params.map(({ rows, cols }) => rows * cols);
  const shares = params.map(({ shape }, l) =>
    distribution === "uniform" ? sizes[l]! : shape.reduce((sum, extent) => sum + extent, 0),
  );
  const exact = cappedShares({ shares, sizes, keep });
  const counts = exact.map(Math.floor);
  const left = keep - counts.reduce((sum, count) => sum + count, 0);
  const byRemainder = exact
    .map((value, l) => ({ l, remainder: value - Math.floor(value) }))
    .filter(({ l }) => counts[l]! < sizes[l]!)
    .sort((a, b) => b.remainder - a.remainder || a.l - b.l);
  for (const { l } of byRemainder.slice(0, left)) counts[l]!++;
  return counts;
}

/** `keep` in proportion to the shares, no layer above its size. */
function cappedShares({
  shares,
  sizes,
  keep,
}: {
  shares: readonly number[];
  sizes: readonly number[];
  keep: number;
}): readonly number[] {
  const isFull = sizes.map(() => false);
  for (;;) {
    const open = shares.reduce((sum, share, l) => sum + (isFull[l] ? 0 : share), 0);
    const rest = sizes.reduce((sum, size, l) => sum - (isFull[l] ? size : 0), keep);
    const wanted = sizes.map((size, l) => (isFull[l] ? size : (rest * shares[l]!) / open));
    const over = wanted.findIndex((value, l) => !isFull[l] && value > sizes[l]!);
    if (over < 0) return wanted;
    wanted.forEach((value, l) => {
      if (value > sizes[l]!) isFull[l] = true;
    });
  }
}
