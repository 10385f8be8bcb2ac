/**
 * Block-wise re-fit (CHITA's "LSBlock", Benbaki et al. 2023): H is taken as block-diagonal, and every block is re-fitted
 * exactly on its part of the support, as if the weights of the other blocks stayed where they were. Blocks never cross a
 * layer: a layer of `size` weights has max(1, floor(size / blockSize)) blocks of floor(size / blocks) weights, the last
 * one takes the remainder. Departure: exactly k weights are kept also with ties (the public code drops all tied ones).
 */
import { checkNumber, type Problem, type RunContext } from "@secateur/core";
import type { Support } from "../refit/project.ts";
import { type RefitForm, refit } from "../refit/refit.ts";
import { narrowed, overColumns, pick, type RowModel, withRestricted } from "../relaxation/row-model.ts";

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
  if (blockSize !== "layer") checkNumber("chita.block", "blockSize", blockSize, { least: 1, whole: true });
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
 * Time: for every block, its columns of G and a re-fit of its part of the support.
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
    const inside = support.columns.subarray(first, last).map((j) => j - start);
    const found = await withBlock(model, { start, end }, (block) =>
      withRestricted(block, inside, (inner) => refit(inner, { form }, ctx)),
    );
    d.set(found.d, first);
    first = last;
    await ctx.tick({ task: "solve", done: index + 1, total: ranges.length });
  }
  return { d, blocks: ranges.length };
}

/** The model of the weights start .. end - 1 alone, all others where they were: their displacement is zero. */
async function withBlock<T>(
  model: RowModel,
  { start, end }: { start: number; end: number },
  work: (block: RowModel) => Promise<T>,
): Promise<T> {
  const columns = Uint32Array.from({ length: end - start }, (_, j) => start + j);
  const { release, ...products } = await narrowed(model, columns);
  try {
    const gradient = model.gradient ? { gradient: pick(model.gradient, columns) } : {};
    return await work({ ...overColumns(model, columns), ...products, ...gradient });
  } finally {
    release();
  }
}
