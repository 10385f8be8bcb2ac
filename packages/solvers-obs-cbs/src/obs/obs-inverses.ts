/**
 * Optimal Brain Surgeon's numbers from the blocks of H^-1 (Hassibi and Stork 1993; WoodFisher, Singh and Alistarh 2020):
 *   cost of removing weight j alone   w_j^2 / (2 [H^-1]_jj)
 *   and what the others do then       dw = -(w_j / [H^-1]_jj) H^-1 e_j
 */
import { type InverseView, type Problem, type RunContext, throwIfAborted } from "@secateur/core";
import { type BlockRange, type BlockSize, blockRanges, indicesOf } from "@secateur/core/linalg";
import { notPositive } from "../errors.ts";

/** A block of weights and the inverse of its block of H. */
export interface InverseBlock {
  readonly range: BlockRange;
  readonly inverse: InverseView;
  readonly diagonal: Float64Array;
}

/** Gradient rows up to which one inverse for the whole network is the default: n^2 p / 2 multiply-adds for its diagonal. */
const wholeNetworkRows = 2048;
/** Weights a block beyond that. */
const usualBlock = 1000;

/** "auto": the whole network where its dual is small enough, else chunks of 1000 weights. */
export type InverseBlockSize = BlockSize | "auto";

/**
 * The inverses of the diagonal blocks of H; release them.
 * Time: see the estimator's inverse, per block. Memory: 8 n^2 bytes for the whole network; 8 p c for blocks of c weights where
 * rows outnumber the weights of a block.
 *
 * @throws ERR_SINGULAR, ERR_IMPOSSIBLE from the estimator
 */
export async function invertBlocks(
  problem: Problem,
  blockSize: InverseBlockSize,
  ctx: RunContext,
): Promise<readonly InverseBlock[]> {
  const { w, layers } = problem;
  const size = blockSize === "auto" ? usualBlockSize(problem) : blockSize;
  const ranges = blockRanges({ size: w.cols, layers, blockSize: size, leftOver: "own block", who: "the inverse" });
  const blocks: InverseBlock[] = [];
  try {
    for (const [index, range] of ranges.entries()) {
      const inverse = await problem.curvature.inverse!(ranges.length === 1 ? undefined : indicesOf(range));
      blocks.push({ range, inverse, diagonal: new Float64Array(0) });
      const diagonal = await inverse.diagonal();
      blocks[index] = { range, inverse, diagonal };
      await ctx.tick({ task: "solve", done: index + 1, total: ranges.length });
    }
    throwIfAborted(ctx.signal);
  } catch (error) {
    releaseBlocks(blocks);
    throw error;
  }
  return blocks;
}

function usualBlockSize({ curvature }: Problem): BlockSize {
  const view = curvature.factor?.();
  // A curvature without stored rows inverts itself by layers.
  return !view?.columns || view.rows <= wholeNetworkRows ? "network" : usualBlock;
}

/** Frees the inverses. */
export function releaseBlocks(blocks: readonly InverseBlock[]): void {
  for (const { inverse } of blocks) inverse.release();
}

/** w_j^2 / (2 [H^-1]_jj) of every weight [p] f64. @throws ERR_SINGULAR for a diagonal entry that is not positive */
export function obsScores(w: ArrayLike<number>, blocks: readonly InverseBlock[]): Float64Array {
  const scores = new Float64Array(w.length);
  for (const { range, diagonal } of blocks) {
    for (let j = range.start; j < range.end; j++) {
      const value = diagonal[j - range.start]!;
      if (!(value > 0)) throw notPositive({ index: j, value });
      scores[j] = (w[j]! * w[j]!) / (2 * value);
    }
  }
  return scores;
}

/**
 * WoodFisher's update: the single-weight updates of all pruned weights, summed as if each were removed alone, and the mask.
 * One product with H^-1. Not the minimiser on the mask (that is the joint update): interactions between pruned weights
 * count twice.
 *
 * @param keptMask - per weight, 1 = keep
 * @returns f64 [p], zeros on the pruned weights
 */
export async function singleUpdates(
  w: ArrayLike<number>,
  keptMask: Uint8Array,
  blocks: readonly InverseBlock[],
): Promise<Float64Array> {
  const updated = new Float64Array(w.length);
  for (const { range, inverse, diagonal } of blocks) {
    const size = range.end - range.start;
    const push = new Float64Array(size);
    for (let s = 0; s < size; s++) if (keptMask[range.start + s] === 0) push[s] = w[range.start + s]! / diagonal[s]!;
    const answer = new Float64Array(size);
    await inverse.apply(push, answer);
    for (let s = 0; s < size; s++) {
      const j = range.start + s;
      if (keptMask[j] === 1) updated[j] = w[j]! - answer[s]!;
    }
  }
  return updated;
}
