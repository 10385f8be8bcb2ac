import { keepOutOfRange, sparsityOutOfRange } from "../errors.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { referenceKernels } from "../kernels/reference-kernels.ts";
import type { Mask, Vec } from "../problem/matrix.ts";

/** A feasible set of masks over units. Owns projection and bookkeeping, so no solver knows which budget it serves. */
export interface Constraint {
  /** For example "keep-count". */
  readonly kind: string;
  /** The feasible keep-set of greatest total score; ties go to the lower index, NaN counts as -Infinity. score [count] -> mask [count]. */
  select(score: Vec): Mask;
  /** 0 when feasible, else by how much the mask breaks the budget, in the budget's own unit. */
  violation(mask: Mask): number;
  /** Present when the best feasible sets are any `keep` of the units (of the eligible ones, where given). */
  readonly count?: { readonly keep: number; readonly eligible?: Mask };
  /** Present when the best feasible sets are any `keep` of every `of` consecutive units, groups starting anew every `cols` units (of the eligible ones, where given). */
  readonly pattern?: { readonly keep: number; readonly of: number; readonly cols: number; readonly eligible?: Mask };
  /** No feasible mask has a greater total of the scores [count] of what it keeps (those above 0 count). Absent: nothing is known. */
  bound?(score: Vec): number;
  /**
   * A set that contains this one and keeps `factor` times as much (>= 1): where active-set methods look for candidates.
   * Absent: such methods work on all units.
   */
  relax?(factor: number): Constraint;
  /**
   * For local searches: whether removing kept unit `out` and restoring pruned unit `into` keeps a feasible mask feasible. O(units) once for a
   * mask, after which an answer costs O(1) where budgets are sums; it holds until the mask is changed.
   */
  canSwap?(mask: Mask): SwapCheck;
}

/** Whether kept unit `out` may go for pruned unit `into`. */
export type SwapCheck = (out: number, into: number) => boolean;

/** k = floor((1 - s) * size), the number of weights that sparsity s keeps; exact where (1 - s) * size is whole but for rounding. */
export function keptCount(size: number, sparsity: number): number {
  if (!(sparsity >= 0 && sparsity < 1)) throw sparsityOutOfRange("sparsity", sparsity);
  // (1 - 0.9) * 1000 is 99.99999999999997 in binary: within rounding of a whole number, that number is meant.
  const exact = (1 - sparsity) * size;
  const nearest = Math.round(exact);
  return Math.abs(exact - nearest) <= 4 * Number.EPSILON * Math.max(1, size) ? nearest : Math.floor(exact);
}

/** 1 - s as it is written: 0.1 for 0.9, where binary subtraction gives 0.09999999999999998. */
export function keptFraction(sparsity: number): number {
  return Number((1 - sparsity).toPrecision(15));
}

/**
 * Keep exactly `keep` of `count` units.
 *
 * @param spec.count - number of units, >= 0
 * @param spec.keep - how many to keep, 0..count
 * @param spec.kernels - whose `largest` does the selection; default: the reference kernels
 * @throws ERR_KEEP_RANGE
 */
export function keepCount(spec: { count: number; keep: number; kernels?: Kernels }): Constraint {
  const { count, keep, kernels = referenceKernels } = spec;
  if (!Number.isInteger(keep) || keep < 0 || keep > count) throw keepOutOfRange("keep", keep, count);
  return {
    kind: "keep-count",
    count: { keep },
    select(score) {
      const mask = new Uint8Array(count);
      for (const unit of kernels.largest(score, keep)) mask[unit] = 1;
      return mask;
    },
    violation: (mask) => Math.max(0, countKept(mask) - keep),
    relax: (factor) => keepCount({ count, keep: Math.min(count, Math.ceil(keep * factor)), kernels }),
    canSwap: (mask) => (out, into) => mask[out] === 1 && mask[into] === 0,
  };
}

/** Keep floor((1 - sparsity) * count) units, exactly. @throws ERR_SPARSITY_RANGE */
export function sparsityConstraint(spec: { count: number; sparsity: number; kernels?: Kernels }): Constraint {
  return keepCount({ ...spec, keep: keptCount(spec.count, spec.sparsity) });
}

/** Number of ones in a mask [count]. */
export function countKept(mask: Mask): number {
  let kept = 0;
  for (let u = 0; u < mask.length; u++) kept += mask[u]!;
  return kept;
}
