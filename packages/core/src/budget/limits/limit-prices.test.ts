import { expect, test } from "vitest";
import { createRng } from "../../rng.ts";
import { type CostLimit, costConstraint } from "./cost-constraint.ts";
import { costClasses, limitPrices } from "./limit-prices.ts";

/** Layers of weights that cost alike: what a weight limit and a limit of operations are. */
function layered(
  seed: number,
  { count, kinds }: { count: number; kinds: number },
): { score: Float64Array; limits: CostLimit[] } {
  const rng = createRng(seed);
  const score = Float64Array.from({ length: count }, () => rng.normal() ** 2);
  const positions = Array.from({ length: kinds }, () => 1 + rng.integer(20));
  const flops = Float64Array.from({ length: count }, (_, u) => positions[u % kinds]!);
  const all = flops.reduce((sum, cost) => sum + cost, 0);
  const limits = [
    { name: "weights", costs: new Float64Array(count).fill(1), most: Math.floor(count * (0.2 + 0.5 * rng.next())) },
    { name: "flops", costs: flops, most: all * (0.2 + 0.5 * rng.next()) },
  ];
  return { score, limits };
}

/** The best of all masks. */
function bruteForce(score: Float64Array, limits: readonly CostLimit[]): number {
  let best = 0;
  for (let bits = 0; bits < 2 ** score.length; bits++) {
    let total = 0;
    const used = limits.map(() => 0);
    for (let u = 0; u < score.length; u++) {
      if (((bits >> u) & 1) === 0) continue;
      total += score[u]!;
      limits.forEach(({ costs }, j) => {
        used[j]! += costs[u]!;
      });
    }
    if (total > best && limits.every(({ most }, j) => used[j]! <= most)) best = total;
  }
  return best;
}

const totalOf = (score: Float64Array, mask: Uint8Array): number =>
  score.reduce((sum, value, u) => sum + mask[u]! * value, 0);

test("no mask of all there are beats the bound, and what is selected misses the best by less than a unit for each limit", () => {
  let exact = 0;
  for (let seed = 0; seed < 30; seed++) {
    const { score, limits } = layered(seed, { count: 12, kinds: 3 });
    const third = { name: "bytes", costs: score.map((_, u) => 1 + ((u * 7) % 5)), most: 20 };
    for (const some of [limits, [...limits, third]]) {
      const constraint = costConstraint(12, some);
      const best = bruteForce(score, some);
      const mask = constraint.select(score);
      const total = totalOf(score, mask);
      // Sums of twelve numbers round.
      expect(constraint.bound!(score)).toBeGreaterThan(best - 1e-9);
      expect(total).toBeLessThan(best + 1e-9);
      expect(best - total).toBeLessThan(some.length * Math.max(...score));
      expect(constraint.violation(mask)).toBe(0);
      if (best - total < 1e-9) exact++;
    }
  }
  // Most are the best mask itself.
  expect(exact).toBeGreaterThan(40);
});

test("the dual is least at the prices that are found", () => {
  const rng = createRng(3);
  const { score, limits } = layered(7, { count: 200, kinds: 5 });
  const dual = (prices: readonly number[]): number =>
    limits.reduce((sum, { most }, j) => sum + most * prices[j]!, 0) +
    score.reduce(
      (sum, value, u) =>
        sum + Math.max(0, value - limits.reduce((price, { costs }, j) => price + prices[j]! * costs[u]!, 0)),
      0,
    );
  const classes = costClasses(
    limits.map(({ costs }) => costs),
    200,
  );
  const { prices, bound } = limitPrices(
    classes,
    score,
    limits.map(({ most }) => most),
  );
  // The bound is the dual at its prices; sums over classes round otherwise than sums over units.
  expect(bound).toBeCloseTo(dual(prices), 8);
  for (let trial = 0; trial < 200; trial++) {
    const other = prices.map((price) => Math.max(0, price * (0.8 + 0.4 * rng.next())));
    expect(dual(other)).toBeGreaterThan(bound - 1e-6 * bound);
  }
});

/** Prefixes of the order by lambda f - w^2, lambda by golden section: the projection as FALCON's authors wrote it. */
function published(score: Float64Array, [weights, flops]: readonly CostLimit[]): number {
  const prefix = (lambda: number): { value: number; dual: number } => {
    const key = score.map((value, u) => lambda * flops!.costs[u]! - value);
    const order = Array.from(key.keys()).sort((a, b) => key[a]! - key[b]!);
    let [kept, used, value, dual] = [0, 0, 0, lambda * flops!.most];
    let isOpen = true;
    for (const [rank, u] of order.entries()) {
      if (key[u]! >= 0) break;
      if (rank < weights!.most) dual -= key[u]!;
      isOpen &&= kept + 1 <= weights!.most && used + flops!.costs[u]! <= flops!.most;
      if (!isOpen) continue;
      [kept, used, value] = [kept + 1, used + flops!.costs[u]!, value + score[u]!];
    }
    return { value, dual };
  };
  let [low, high] = [0, Math.max(...score.map((value, u) => value / flops!.costs[u]!))];
  const share = (Math.sqrt(5) - 1) / 2;
  for (let step = 0; step < 60; step++) {
    const [left, right] = [high - share * (high - low), low + share * (high - low)];
    if (prefix(left).dual <= prefix(right).dual) high = right;
    else low = left;
  }
  return Math.max(prefix(low).value, prefix(high).value);
}

test("what is selected is not below the published projection, and of thousands of weights next to the bound", () => {
  for (let seed = 0; seed < 5; seed++) {
    const { score, limits } = layered(seed, { count: 6000, kinds: 8 });
    const constraint = costConstraint(6000, limits);
    const total = totalOf(score, constraint.select(score));
    expect(total).toBeGreaterThan(published(score, limits) - 1e-9);
    // Two units at most of 6000 are lacking, each of about the least score that is kept.
    expect(1 - total / constraint.bound!(score)).toBeLessThan(1e-3);
  }
});
