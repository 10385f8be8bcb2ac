/**
 * The re-fit with H cut to blocks of weights: entries of H between two blocks count as zero, so that every block is re-fitted on its
 * part of the support as if the weights of the others stayed where they were (CHITA's "LSBlock", Benbaki et al. 2023; WoodFisher's
 * blocks, Singh and Alistarh 2020).
 */
import type { RunContext } from "../../run-context.ts";
import { type BlockRange, indicesOf } from "../block-ranges.ts";
import { type QuadraticModel, withModelOver, withPrunedModel } from "../quadratic-model.ts";
import { type RefitOptions, refit, refuseSingular } from "./refit.ts";

/** What a re-fit of several blocks gives. */
export interface BlocksRefit {
  /** d [support.length] f64 */
  readonly d: Float64Array;
  /** Conjugate-gradient iterations of all blocks. */
  readonly iterations: number;
  /** Whether every block was solved by a factorisation. */
  readonly isExact: boolean;
}

/**
 * Block after block. Time: for every block a re-fit of its part of the support, and where there are several, its columns of G.
 *
 * @param spec.support - kept weights, ascending; all others are pruned
 * @param spec.ranges - ascending, over all weights of the model
 * @throws as {@link refit}
 */
export async function refitBlocks(
  spec: {
    readonly model: QuadraticModel;
    readonly support: Uint32Array;
    readonly ranges: readonly BlockRange[];
  },
  options: RefitOptions,
  ctx: RunContext,
): Promise<BlocksRefit> {
  const { model, support, ranges } = spec;
  const d = new Float64Array(support.length);
  let [first, iterations, isExact] = [0, 0, true];
  for (const [index, range] of ranges.entries()) {
    let last = first;
    while (last < support.length && support[last]! < range.end) last++;
    const inside = support.subarray(first, last).map((j) => j - range.start);
    const fit = (over: QuadraticModel) => {
      refuseSingular(over, options, inside);
      return withPrunedModel(over, inside, (inner) => refit(inner, options, ctx));
    };
    const isWhole = range.end - range.start === model.dim;
    const found = await (isWhole ? fit(model) : withModelOver(model, indicesOf(range), fit));
    d.set(found.d, first);
    first = last;
    iterations += found.iterations;
    isExact &&= found.form !== "cg";
    if (ranges.length > 1) await ctx.tick({ task: "solve", done: index + 1, total: ranges.length });
  }
  return { d, iterations, isExact };
}
