/**
 * Masks whose kept units cost no more than every limit allows: sum over kept u of cost_j(u) <= most_j for all j. With unequal costs the
 * keep-set of greatest total score is a knapsack problem. `select` takes the greedy answer, units by score a share of the limits, then
 * whatever still fits: at most one unit's score below the optimum for one limit (Dantzig 1957), and exact for equal costs.
 */
import type { Mask, Vec } from "../problem/matrix.ts";
import type { Constraint } from "./constraint.ts";

/** A limit on what kept units cost in all. */
export interface CostLimit {
  /** For messages, for example "flops". */
  readonly name: string;
  /** [count], >= 0 */
  readonly costs: Vec;
  readonly most: number;
}

/** Sums of costs round: within this share of a limit it counts as met. */
const rounding = 1e-9;

/**
 * Keep units within limits on their costs.
 *
 * @param count - number of units
 * @param limits - at least one
 */
export function costConstraint(count: number, limits: readonly CostLimit[]): Constraint {
  const share = (unit: number): number =>
    limits.reduce((sum, { costs, most }) => sum + (most > 0 ? costs[unit]! / most : costs[unit]! > 0 ? 1e30 : 0), 0);
  const usedBy = (mask: Mask): number[] =>
    limits.map(({ costs }) => {
      let used = 0;
      for (let u = 0; u < count; u++) if (mask[u] === 1) used += costs[u]!;
      return used;
    });
  const excess = (used: readonly number[]): number =>
    Math.max(0, ...limits.map(({ most }, j) => used[j]! - most * (1 + rounding)));
  const fits = (used: readonly number[]): boolean => limits.every(({ most }, j) => used[j]! <= most * (1 + rounding));
  return {
    kind: `limits on ${limits.map(({ name }) => name).join(" and ")}`,
    select(score) {
      const key = new Float64Array(count);
      for (let u = 0; u < count; u++) {
        const value = score[u]!;
        // A negative score is no better for costing more.
        key[u] = Number.isNaN(value)
          ? Number.NEGATIVE_INFINITY
          : value > 0
            ? value / Math.max(share(u), 1e-300)
            : value;
      }
      const order = Uint32Array.from({ length: count }, (_, u) => u).sort((a, b) => compare(key, a, b));
      const mask = new Uint8Array(count);
      const used = limits.map(() => 0);
      for (const unit of order) {
        if (key[unit] === Number.NEGATIVE_INFINITY) break;
        const next = limits.map(({ costs }, j) => used[j]! + costs[unit]!);
        if (!fits(next)) continue;
        mask[unit] = 1;
        for (let j = 0; j < used.length; j++) used[j] = next[j]!;
      }
      return mask;
    },
    violation: (mask) => excess(usedBy(mask)),
    relax: (factor) =>
      costConstraint(
        count,
        limits.map((limit) => ({ ...limit, most: limit.most * factor })),
      ),
    canSwap(mask, out, into) {
      if (mask[out] !== 1 || mask[into] !== 0) return false;
      const used = usedBy(mask);
      return fits(limits.map(({ costs }, j) => used[j]! - costs[out]! + costs[into]!));
    },
  };
}

function compare(key: Float64Array, a: number, b: number): number {
  if (key[a] === key[b]) return a - b;
  return key[a]! > key[b]! ? -1 : 1;
}
