/**
 * Block-wise re-fit (CHITA's "LSBlock", Benbaki et al. 2023): H is taken as block-diagonal, and every block is re-fitted
 * exactly on its part of the support, as if the weights of the other blocks stayed where they were. Blocks never cross a
 * layer: a layer of `size` weights has max(1, floor(size / blockSize)) blocks of floor(size / blocks) weights, the last
 * one takes the remainder. Departure: exactly k weights are kept also with ties (the public code drops all tied ones).
 */
import type { Problem, RunContext } from "@secateur/core";
import type { Support } from "./project.ts";
import { type RefitForm, refit } from "./refit.ts";
import { type RowModel, restrict, vector } from "./row-model.ts";

/** Settings of the block-wise re-fit. */
export interface BlockOptions {
  /** Weights a block, >= 1; default 2000. "layer": one block a layer. */
  readonly blockSize?: number | "layer" | undefined;
  /** How each block is solved; default "auto". */
  readonly form?: RefitForm | undefined;
}

/** The half-open ranges [start, end) of flat weights that are blocks. */
export function blockRanges(
  layers: NonNullable<Problem["layers"]>,
  blockSize: number | "layer",
): readonly (readonly [number, number])[] {
  return layers.flatMap(({ start, size }) => {
    const count = blockSize === "layer" ? 1 : Math.max(1, Math.floor(size / blockSize));
    const step = Math.floor(size / count);
    return Array.from(
      { length: count },
      (_, b) => [start + b * step, b === count - 1 ? start + size : start + (b + 1) * step] as const,
    );
  });
}

/**
 * d [support.columns.length] of the block-wise re-fit.
 * Time: for every block, a product with G and a re-fit of its part of the support.
 */
export async function blockRefit(
  spec: { problem: Problem; model: RowModel; support: Support } & BlockOptions,
  ctx: RunContext,
): Promise<{ d: Float64Array; blocks: number }> {
  const { problem, model, support, blockSize = 2000, form = "auto" } = spec;
  const layers = problem.layers ?? [{ name: problem.id, start: 0, size: model.size }];
  const ranges = blockRanges(layers, blockSize);
  const d = new Float64Array(support.columns.length);
  let first = 0;
  for (const [index, [start, end]] of ranges.entries()) {
    let last = first;
    while (last < support.columns.length && support.columns[last]! < end) last++;
    const columns = support.columns.subarray(first, last);
    const { model: inner, release } = await restrict(onlyBlock(model, start, end), columns);
    d.set((await refit(inner, { form })).d, first);
    release();
    first = last;
    await ctx.tick({ task: "solve", done: index + 1, total: ranges.length });
  }
  return { d, blocks: ranges.length };
}

/** The model in which only weights in [start, end) move: the displacement of all others counts as zero. */
function onlyBlock(model: RowModel, start: number, end: number): RowModel {
  const w0 = vector(model.size, model.dtype);
  w0.set(model.w0.subarray(start, end), start);
  return { ...model, w0 };
}
