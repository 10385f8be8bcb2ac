import type { Problem } from "@secateur/core";

/** "network": one range of all weights; "layer": one a layer; a number: chunks of that many within layers, the last one shorter. */
export type BlockSize = "network" | "layer" | number;

/** Consecutive flat weights start, ..., end - 1. */
export interface WeightRange {
  readonly start: number;
  readonly end: number;
}

/** The ranges of weights that H is cut to: entries of H between two ranges count as zero. Chunks as in WoodFisher's code. */
export function weightRanges(problem: Problem, blockSize: BlockSize): readonly WeightRange[] {
  const whole = { start: 0, end: problem.w.cols };
  if (blockSize === "network") return [whole];
  const layers = problem.layers ?? [{ start: 0, size: problem.w.cols }];
  return layers.flatMap(({ start, size }) => {
    const chunk = blockSize === "layer" ? size : Math.min(blockSize, size);
    return Array.from({ length: Math.ceil(size / Math.max(1, chunk)) }, (_, b) => ({
      start: start + b * chunk,
      end: Math.min(start + (b + 1) * chunk, start + size),
    }));
  });
}

/** start, ..., end - 1 */
export function indicesOf({ start, end }: WeightRange): Uint32Array {
  return Uint32Array.from({ length: end - start }, (_, i) => start + i);
}
