/**
 * Masks whose kept units cost no more than every limit allows: sum over kept u of cost_j(u) <= most_j for all j. With unequal costs the
 * keep-set of greatest total score is a knapsack problem. `select` takes the greedy answer, units by score a price of what they cost, then
 * whatever still fits: at most one unit's score below the optimum for one limit (Dantzig 1957), and exact for equal costs. Under several
 * limits the prices are those of the dual (`limitPrices`), as in FALCON (Meng et al. 2024): at most as many units below the optimum as
 * there are limits. Of few units the orders of each limit alone and of equal shares are tried too, and the keep-set of the greatest total
 * taken. Where a limit is no sum, its linear costs give the order, and the longest beginning of it that the limit itself allows is kept, with
 * the best of those that then cost nothing more: what stays anyway, as widths are rounded up, is better there than zeros.
 */
import { badBudget } from "../../errors.ts";
import { descendingOrder } from "../../kernels/descending-order.ts";
import type { Mask, Vec } from "../../problem/matrix.ts";
import type { Constraint } from "../constraint.ts";
import { bestFloors, cheapestFloors, type Floors, floorsHold, floorWords, shortfall } from "../floors.ts";
import type { FreeUnits } from "./cost-model.ts";
import { costClasses, limitPrices } from "./limit-prices.ts";

/** A limit on what kept units cost in all. */
export interface CostLimit {
  /** For messages, for example "flops". */
  readonly name: string;
  /** [count], >= 0 */
  readonly costs: Vec;
  readonly most: number;
  /** What a mask costs where that is no sum of `costs`; never less for a mask that keeps more. */
  readonly exact?: (mask: Mask) => number;
  /** Which units then may cost together: lists [count] of equal numbers within a parameter, of which the cheapest serves. */
  readonly groups?: readonly Uint32Array[];
  /** Units that a mask may keep beside its own at no cost. Absent: none. */
  readonly free?: (mask: Mask) => readonly FreeUnits[];
}

/** Of so few units further orders cost nothing; of many the dual's is hardly ever beaten, and then by a unit or two. */
const fewUnits = 4096;

/** Sums of costs round: within this share of a limit it counts as met. */
const rounding = 1e-9;

/**
 * Keep units within limits on their costs.
 *
 * @param count - number of units
 * @param limits - at least one
 * @param floored - ranges that keep at least so much: their best units come before all others, or where those break a limit their cheapest
 * @returns a constraint whose `select` throws ERR_BUDGET where floors and limits cannot both be met by what may be kept
 */
export function costConstraint(
  count: number,
  limits: readonly CostLimit[],
  floored: Floors = { floors: [], sizes: new Float64Array(0) },
): Constraint {
  const isAdditive = limits.every(({ exact }) => exact === undefined);
  const groupings = limits.find((limit) => limit.groups)?.groups ?? [undefined];
  /** Limits that one order goes by: each alone, and all together. */
  const orders = limits.length === 1 ? [limits] : [...limits.map((limit) => [limit]), limits];
  /** Of some limits together, what each unit takes [count]; default price: a share of the limit. */
  const sharesOf = (some: readonly CostLimit[], prices?: readonly number[]): Float64Array => {
    const sums = new Float64Array(count);
    some.forEach(({ costs, most }, j) => {
      const price = prices ? prices[j]! : most > 0 ? 1 / most : 1e30;
      for (let u = 0; u < count; u++) sums[u]! += costs[u]! * price;
    });
    return sums;
  };
  // Found once for all scores.
  let classes: ReturnType<typeof costClasses> | undefined;
  /** Prices of all limits once what floors need is paid for, and what no keep-set exceeds. */
  const pricesFor = (score: Vec, needed: Uint8Array): ReturnType<typeof limitPrices> => {
    classes ??= costClasses(
      limits.map(({ costs }) => costs),
      count,
    );
    const dense = new Uint8Array(count).fill(1);
    const left = limits.map(({ costs, most, exact }) => {
      // A limit that is no sum stands for as large a share of its linear costs.
      const own = exact ? (most * sumOf(costs, dense)) / Math.max(exact(dense), 1e-300) : most;
      return Math.max(0, own - sumOf(costs, needed));
    });
    let free = score;
    if (needed.some((bit) => bit === 1)) free = Float64Array.from(score, (value, u) => (needed[u] === 1 ? 0 : value));
    return limitPrices(classes, free, left);
  };
  const usedBy = (mask: Mask): number[] =>
    limits.map(({ costs, exact }) => {
      return exact ? exact(mask) : sumOf(costs, mask);
    });
  const fits = (used: readonly number[]): boolean => limits.every(({ most }, j) => used[j]! <= most * (1 + rounding));
  /** The units that floors keep whatever the others do; undefined where no choice of them is within the limits. */
  const neededOf = (key: Float64Array): Uint8Array | undefined => {
    const best = bestFloors(floored, key);
    if (floored.floors.length === 0 || fits(usedBy(best))) return best;
    for (const groups of groupings) {
      const cheapest = cheapestFloors(floored, key, groups);
      if (fits(usedBy(cheapest))) return cheapest;
    }
    return undefined;
  };
  const keyOf = (score: Vec, share: Float64Array): Float64Array => {
    const key = new Float64Array(count);
    for (let u = 0; u < count; u++) {
      const value = score[u]!;
      // Divided by its cost, a negative score would look the better the more the unit costs.
      key[u] = Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value > 0 ? value / Math.max(share[u]!, 1e-300) : value;
    }
    return key;
  };
  const selectBy = (share: Float64Array, score: Vec): Mask | undefined => {
    const key = keyOf(score, share);
    const needed = neededOf(key);
    if (!needed) return undefined;
    const order = ordered(key, needed);
    if (!isAdditive)
      return withFreeUnits(
        longestBeginning(order, count, (mask) => fits(usedBy(mask))),
        order,
        limits,
      );
    return greedy({ order, needed, used: usedBy(needed), limits });
  };
  return {
    kind: `limits on ${limits.map(({ name }) => name).join(" and ")}`,
    select(score) {
      const first = limits.length > 1 ? neededOf(keyOf(score, sharesOf(limits))) : undefined;
      const priced = first && selectBy(sharesOf(limits, pricesFor(score, first).prices), score);
      // Floors may fit the limits in one order and not in another.
      const others =
        priced && count > fewUnits && isAdditive ? [] : orders.map((some) => selectBy(sharesOf(some), score));
      const masks = [priced, ...others].filter((mask) => mask !== undefined);
      if (masks.length === 0) {
        const isBlocked = score.some((value) => value === Number.NEGATIVE_INFINITY || Number.isNaN(value));
        throw badBudget(
          `${floorWords(floored.floors)} is more than its limits of ${limits.map(({ name }) => name).join(" and ")} allow together; raise a limit, or exclude less${isBlocked ? ", or let pruned weights come back" : ""}`,
        );
      }
      const totals = masks.map((mask) => totalScore(mask, score));
      return masks[totals.indexOf(Math.max(...totals))]!;
    },
    violation(mask) {
      const used = usedBy(mask);
      const excess = limits.map(({ most }, j) => used[j]! - most * (1 + rounding));
      return Math.max(0, ...excess) + shortfall(floored, mask);
    },
    ...(isAdditive ? { bound: (score: Vec) => pricesFor(score, new Uint8Array(count)).bound } : {}),
    relax: (factor) =>
      costConstraint(
        count,
        limits.map((limit) => ({ ...limit, most: limit.most * factor })),
        floored,
      ),
    canSwap(mask) {
      const used = usedBy(mask);
      const swapped = mask.slice();
      const holds = floorsHold(floored, mask);
      const areMet = (out: number, into: number): boolean => {
        if (isAdditive)
          return limits.every(({ costs, most }, j) => used[j]! - costs[out]! + costs[into]! <= most * (1 + rounding));
        [swapped[out], swapped[into]] = [0, 1];
        const isMet = fits(usedBy(swapped));
        [swapped[out], swapped[into]] = [1, 0];
        return isMet;
      };
      return (out, into) => mask[out] === 1 && mask[into] === 0 && holds(out, into) && areMet(out, into);
    },
  };
}

function sumOf(costs: Vec, mask: Mask): number {
  let sum = 0;
  for (let u = 0; u < mask.length; u++) if (mask[u] === 1) sum += costs[u]!;
  return sum;
}

/** Of what is kept; a unit without a number counts nothing. */
function totalScore(mask: Mask, score: Vec): number {
  let total = 0;
  for (let u = 0; u < mask.length; u++) if (mask[u] === 1 && Number.isFinite(score[u]!)) total += score[u]!;
  return total;
}

/** Units that may be kept, the best first; those that floors need before all others. */
function ordered(key: Float64Array, needed: Uint8Array): Uint32Array {
  const all = descendingOrder(key);
  let end = all.length;
  while (end > 0 && key[all[end - 1]!] === Number.NEGATIVE_INFINITY) end--;
  const order = all.subarray(0, end);
  const first = order.filter((unit) => needed[unit] === 1);
  if (first.length === 0) return order;
  const sorted = new Uint32Array(order.length);
  sorted.set(first);
  sorted.set(
    order.filter((unit) => needed[unit] === 0),
    first.length,
  );
  return sorted;
}

/** Beside the needed units, which it takes over, those in order as long as all limits hold, and later ones that still fit. */
function greedy(spec: {
  order: Uint32Array;
  needed: Uint8Array;
  used: readonly number[];
  limits: readonly CostLimit[];
}): Mask {
  const { order, needed: mask, limits } = spec;
  const used = Float64Array.from(spec.used);
  const allowed = limits.map(({ most }) => most * (1 + rounding));
  for (const unit of order) {
    let fits = mask[unit] === 0;
    for (let j = 0; j < limits.length && fits; j++) fits = used[j]! + limits[j]!.costs[unit]! <= allowed[j]!;
    if (!fits) continue;
    mask[unit] = 1;
    for (let j = 0; j < limits.length; j++) used[j]! += limits[j]!.costs[unit]!;
  }
  return mask;
}

/** The mask of the longest beginning of an order that is accepted, found by bisection. */
function longestBeginning(order: Uint32Array, count: number, accepts: (mask: Mask) => boolean): Mask {
  const maskOf = (length: number): Mask => {
    const mask = new Uint8Array(count);
    for (let i = 0; i < length; i++) mask[order[i]!] = 1;
    return mask;
  };
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (accepts(maskOf(middle))) low = middle;
    else high = middle - 1;
  }
  return maskOf(low);
}

/** With the best units of each range that cost none of the limits anything, put into the mask. */
function withFreeUnits(mask: Mask, order: Uint32Array, limits: readonly CostLimit[]): Mask {
  const ranges = limits[0]!.free?.(mask) ?? [];
  ranges.forEach((_, r) => {
    // Counted anew: an extent may be shared with a range that has just been filled.
    const { first, end, free } = limits.map((limit) => limit.free?.(mask)[r] ?? nothingFree).reduce(lesser);
    let left = free;
    for (let i = 0; i < order.length && left > 0; i++) {
      const unit = order[i]!;
      if (unit < first || unit >= end || mask[unit] === 1) continue;
      mask[unit] = 1;
      left--;
    }
  });
  return mask;
}

const nothingFree: FreeUnits = { first: 0, end: 0, free: 0 };

function lesser(a: FreeUnits, b: FreeUnits): FreeUnits {
  return a.free <= b.free ? a : b;
}
