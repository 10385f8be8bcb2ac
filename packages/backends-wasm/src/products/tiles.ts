/** Cutting index ranges into tiles that fit working memory. */
import type { Block } from "../memory/staging.ts";

/** Rounds down to a multiple of `step`, but not below `step`. */
export function floorTo(value: number, step: number): number {
  return Math.max(step, Math.floor(value / step) * step);
}

/** Rounds up to a multiple of `step`. */
export function ceilTo(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

/** [from, to) ranges of `step` that cover [0, count); one empty range when count is 0 and `isEmptyWanted`. */
export function* ranges(count: number, step: number): Generator<readonly [number, number]> {
  for (let from = 0; from < count; from += step) yield [from, Math.min(from + step, count)];
}

/** How blocks are cut. */
export interface BlockSize {
  readonly rows: number;
  readonly cols: number;
}

/**
 * Blocks of at most `entries` entries: whole rows while one fits (in multiples of `rowStep`), otherwise pieces of rows in multiples
 * of `colStep`.
 */
export function blockSize(
  shape: { readonly rows: number; readonly cols: number },
  limits: { readonly entries: number; readonly rowStep: number; readonly colStep: number },
): BlockSize {
  const { rowStep, colStep } = limits;
  if (shape.cols * rowStep <= limits.entries) {
    return { rows: floorTo(limits.entries / Math.max(1, shape.cols), rowStep), cols: Math.max(1, shape.cols) };
  }
  return { rows: rowStep, cols: floorTo(limits.entries / rowStep, colStep) };
}

/** All blocks of a matrix, along rows of blocks. */
export function* blocks(shape: { readonly rows: number; readonly cols: number }, size: BlockSize): Generator<Block> {
  for (const [rowFrom, rowTo] of ranges(shape.rows, size.rows)) {
    for (const [colFrom, colTo] of ranges(shape.cols, size.cols)) yield { rowFrom, rowTo, colFrom, colTo };
  }
}
