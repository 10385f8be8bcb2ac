/**
 * Prices of limits. The best keep-set under limits, max sum s_u z_u with sum_u c_ju z_u <= m_j for all j, has the dual
 *   min over prices p >= 0 of D(p) = sum_j p_j m_j + sum_u max(0, s_u - sum_j p_j c_ju),
 * convex in p, an upper bound of every keep-set at any p (weak duality), and at its minimum at most as many units above the best as there are
 * limits. FALCON (Meng, Chen, Benbaki, Mazumder 2024, section 3) has it for numbers of weights and of operations: one multiplier by golden section,
 * the other follows from the prefix that fits. Here the last price follows from a bisection and all before it from golden sections within
 * each other, for any number of limits. Units of equal costs (single weights of one layer) are sorted once, so that D costs a binary
 * search for each kind of unit.
 */
import type { Vec } from "../../problem/matrix.ts";

/** Units by what they cost: those of one class cost the same. */
export interface CostClasses {
  /** The class of every unit [count]. */
  readonly of: Uint32Array;
  /** Costs of a unit of each class, by limit. */
  readonly costs: readonly (readonly number[])[];
}

/** Prices by limit, and the dual there: no keep-set within the limits has a greater total score. */
export interface LimitPrices {
  readonly prices: readonly number[];
  readonly bound: number;
}

const golden = (Math.sqrt(5) - 1) / 2;

/** Units by their costs [count] under each limit. O(count). */
export function costClasses(costs: readonly Vec[], count: number): CostClasses {
  const known = new Map<string, number>();
  const found: (readonly number[])[] = [];
  const of = new Uint32Array(count);
  let [lastClass, last] = [-1, [] as readonly number[]];
  for (let u = 0; u < count; u++) {
    // Neighbours mostly cost the same.
    if (lastClass < 0 || !costs.every((cost, j) => cost[u] === last[j])) {
      last = costs.map((cost) => cost[u]!);
      const key = last.join();
      lastClass = known.get(key) ?? found.push(last) - 1;
      known.set(key, lastClass);
    }
    of[u] = lastClass;
  }
  return { of, costs: found };
}

/** Sorted scores of a class, the best first, and their sums from the front. */
interface Ranked {
  readonly costs: readonly number[];
  readonly scores: Float64Array;
  readonly sums: Float64Array;
}

/**
 * The prices at which the dual is least, to some 1e-7 of the largest (1e-4 where there are more than two limits). O(count log count) once.
 *
 * @param score - [count]; negative ones, -Infinity and NaN count as nothing
 * @param most - of each limit, >= 0
 */
export function limitPrices(classes: CostClasses, score: Vec, most: readonly number[]): LimitPrices {
  const ranked = rankedScores(classes, score);
  const steps = most.length > 2 ? 22 : 36;
  const highest = most.map((_, j) =>
    ranked.reduce(
      (top, { costs, scores }) => (costs[j]! > 0 && scores.length > 0 ? Math.max(top, scores[0]! / costs[j]!) : top),
      0,
    ),
  );
  const prices = most.map(() => 0);
  /** The least dual over the prices from `j` on, which it leaves in `prices`. */
  const least = (j: number): number => {
    if (j === most.length - 1) return lastPrice(ranked, most, prices, highest[j]!);
    let [low, high] = [0, highest[j]!];
    const at = (price: number): number => {
      prices[j] = price;
      return least(j + 1);
    };
    const best = { price: 0, value: at(0) };
    const tried = (price: number): number => {
      const value = at(price);
      if (value < best.value) Object.assign(best, { price, value });
      return value;
    };
    let [left, right] = [high - golden * (high - low), low + golden * (high - low)];
    let [atLeft, atRight] = [tried(left), tried(right)];
    for (let step = 0; step < steps; step++) {
      if (atLeft <= atRight) {
        [high, right, atRight] = [right, left, atLeft];
        left = high - golden * (high - low);
        atLeft = tried(left);
      } else {
        [low, left, atLeft] = [left, right, atRight];
        right = low + golden * (high - low);
        atRight = tried(right);
      }
    }
    return at(best.price);
  };
  const bound = least(0);
  return { prices: [...prices], bound };
}

function rankedScores({ of, costs }: CostClasses, score: Vec): readonly Ranked[] {
  const sizes = new Uint32Array(costs.length);
  const isOf = (u: number): boolean => score[u]! > 0 && Number.isFinite(score[u]!);
  for (let u = 0; u < of.length; u++) if (isOf(u)) sizes[of[u]!]!++;
  const lists = Array.from(sizes, (size) => new Float64Array(size));
  sizes.fill(0);
  for (let u = 0; u < of.length; u++) if (isOf(u)) lists[of[u]!]![sizes[of[u]!]!++] = score[u]!;
  return lists.map((list, c) => {
    const scores = list.sort().reverse();
    const sums = new Float64Array(scores.length + 1);
    for (let i = 0; i < scores.length; i++) sums[i + 1] = sums[i]! + scores[i]!;
    return { costs: costs[c]!, scores, sums };
  });
}

/** How many scores, sorted downwards, are above a threshold. */
function countAbove(scores: Float64Array, threshold: number): number {
  let [low, high] = [0, scores.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (scores[middle]! > threshold) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The least dual over the last price, given those before it: what it allows is used as far as it goes, which bisection finds. */
function lastPrice(ranked: readonly Ranked[], most: readonly number[], prices: number[], highest: number): number {
  const j = most.length - 1;
  const priceOf = (costs: readonly number[]): number => {
    let price = 0;
    for (let i = 0; i < costs.length; i++) price += prices[i]! * costs[i]!;
    return price;
  };
  const usedAt = (price: number): number => {
    prices[j] = price;
    return ranked.reduce((sum, { costs, scores }) => sum + costs[j]! * countAbove(scores, priceOf(costs)), 0);
  };
  let [low, high] = [0, highest];
  if (usedAt(0) <= most[j]!) high = 0;
  for (let step = 0; step < 50 && high - low > 1e-12 * highest; step++) {
    const middle = (low + high) / 2;
    if (usedAt(middle) <= most[j]!) high = middle;
    else low = middle;
  }
  prices[j] = high;
  return ranked.reduce(
    (sum, { costs, scores, sums }) => {
      const price = priceOf(costs);
      const kept = countAbove(scores, price);
      return sum + sums[kept]! - kept * price;
    },
    most.reduce((sum, amount, i) => sum + amount * prices[i]!, 0),
  );
}
