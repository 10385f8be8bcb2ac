/**
 * The ascent of relaxation/relaxation.ts, which says what is maximised and why, over columns in shards: u and all that L-BFGS remembers have n numbers and
 * stay with whoever leads; V, its change along a step, and the shares of the smoothed choice stay in the shards. A step costs two passes over the rows.
 */
import type { RunContext } from "@secateur/core";
import { solveFactored } from "@secateur/core/linalg";
import { beginThreshold, nextThreshold } from "../relaxation/capped-selection.ts";
import { ascentDirection, lineSearch, type Pair, remember, smoothing } from "../relaxation/relaxation.ts";
import { type ColumnSpace, factorOf, placeCandidates, scaled, times } from "./column-space.ts";
import { askAll, largestPlaces, numberOf, sumShards } from "./sum-shards.ts";

/** Where the ascent ended; the shards hold V. */
export interface ColumnRelaxation {
  readonly u: Float64Array;
  /** On Q over all supports of k weights; -Infinity where nothing had to be chosen. */
  readonly lowerBound: number;
  readonly iterations: number;
}

/**
 * @param spec.keep - k, 1 <= k < p
 * @param spec.leastGain - of all that was gained so far, the share below which a step is the last
 */
export async function relaxColumns(
  space: ColumnSpace,
  { keep: k, maxIterations, leastGain }: { keep: number; maxIterations: number; leastGain: number },
  ctx: RunContext,
): Promise<ColumnRelaxation> {
  const { shards, kernels, lambda, target, shift, energy } = space;
  const factor = factorOf(space, space.full);
  // That of the dense minimiser: A w0 - y = c.
  let u = shift.slice();
  solveFactored(factor, u, kernels);
  await placeCandidates(space, u);
  const floor = numberOf((await largestPlaces(shards, k)).bits) ** 2;
  if (floor <= 0) return { u, lowerBound: Number.NEGATIVE_INFINITY, iterations: 0 };
  const width = smoothing * floor;
  let threshold = floor;
  /** The smoothed choice at V + step dV: sum z q - width/2 z^2, and sum z (V + step dV) dV. */
  const choose = async (step: number): Promise<{ value: number; slope: number }> => {
    const most = Math.max(...(await askAll(shards, (shard) => shard.largestSquare(step))));
    for (let at = beginThreshold({ width, most, guess: threshold }); ; ) {
      const choice = { step, threshold: at.threshold, width };
      const [shares, inside, value, slope] = await sumShards(shards, (shard) => shard.countShares(choice));
      const next = nextThreshold(at, { excess: shares! - k, inside: inside!, k, width });
      if (next) at = next;
      else {
        threshold = at.threshold;
        return { value: value!, slope: slope! };
      }
    }
  };
  const quadratic = (x: Float64Array): number => -0.5 * kernels.dot(x, x) - kernels.dot(x, target) + energy;
  const slopeOf = async (x: Float64Array): Promise<Float64Array> => {
    const { image } = await times(space, { of: "shared", threshold, width });
    return image.map((value, i) => value - target[i]! - x[i]!);
  };
  const bound = async (x: Float64Array): Promise<number> => {
    const { bits, ties } = await largestPlaces(shards, k);
    const [above] = await sumShards(shards, (shard) => shard.squaresAbove(bits));
    const tied = ties.reduce((sum, count) => sum + count, 0) * numberOf(bits) ** 2;
    return quadratic(x) - 0.5 * lambda * (above! + tied);
  };
  let value = quadratic(u) - 0.5 * lambda * (await choose(0)).value;
  const start = value;
  let slope = await slopeOf(u);
  let lowerBound = await bound(u);
  const pairs: Pair[] = [];
  let iterations = 0;
  while (iterations < maxIterations) {
    const direction = ascentDirection(slope, pairs, (x) => solveFactored(factor, x, kernels));
    const initialSlope = kernels.dot(slope, direction);
    if (!(initialSlope > 0)) break;
    const s = scaled(space, direction);
    await askAll(shards, (shard) => shard.setDirection(s));
    const linear = -kernels.dot(u, direction) - kernels.dot(target, direction);
    const bend = kernels.dot(direction, direction);
    const step = await lineSearch(initialSlope, async (t) => linear - t * bend - lambda * (await choose(t)).slope);
    await askAll(shards, (shard) => shard.move(step));
    const next = u.map((one, i) => one + step * direction[i]!);
    const nextValue = quadratic(next) - 0.5 * lambda * (await choose(0)).value;
    const nextSlope = await slopeOf(next);
    remember(pairs, { from: { u, slope }, to: { u: next, slope: nextSlope }, kernels });
    [u, slope] = [next, nextSlope];
    lowerBound = Math.max(lowerBound, await bound(u));
    iterations++;
    await ctx.tick({ task: "solve", done: iterations, values: { lowerBound } });
    const gain = nextValue - value;
    value = nextValue;
    if (gain <= leastGain * (value - start)) break;
  }
  return { u, lowerBound: lowerBound - 0.5 * kernels.dot(shift, shift), iterations };
}
