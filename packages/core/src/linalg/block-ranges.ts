/**
 * Blocks of consecutive weights, to whose diagonal blocks H is cut. A block never crosses a layer. How a layer of `size` weights
 * that is no whole number of blocks is cut differs between the papers' codes:
 *   "own block"   blocks of `blockSize`, what is left over is a shorter one (WoodFisher, Singh and Alistarh 2020);
 *   "last block"  max(1, floor(size / blockSize)) blocks of equal size, the last takes what is left over (CHITA, Benbaki et al. 2023).
 */
import { checkNumber } from "../check-option.ts";
import { indices } from "./column-grams.ts";

/** "network": one block of all weights; "layer": one a layer; a number: weights a block, >= 1. */
export type BlockSize = "network" | "layer" | number;

/** Consecutive flat weights start, ..., end - 1. */
export interface BlockRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The blocks of a network of `size` weights, ascending.
 *
 * @param spec.layers - default: one of all weights
 * @param spec.who - whose option a bad block size is, for the message
 * @throws ERR_OPTION for a block size that is not a whole number >= 1
 */
export function blockRanges(spec: {
  readonly size: number;
  readonly layers?: readonly { readonly start: number; readonly size: number }[] | undefined;
  readonly blockSize: BlockSize;
  readonly leftOver: "own block" | "last block";
  readonly who: string;
}): readonly BlockRange[] {
  const { size: all, blockSize, leftOver, who, layers = [{ start: 0, size: all }] } = spec;
  if (blockSize === "network") return [{ start: 0, end: all }];
  if (blockSize === "layer") return layers.map(({ start, size }) => ({ start, end: start + size }));
  checkNumber(who, "blockSize", blockSize, { least: 1, whole: true });
  return layers.flatMap(({ start, size }) => {
    const isOwn = leftOver === "own block";
    const count = isOwn ? Math.ceil(size / blockSize) : Math.max(1, Math.floor(size / blockSize));
    const width = isOwn ? blockSize : Math.floor(size / count);
    return Array.from({ length: count }, (_, b) => ({
      start: start + b * width,
      end: b === count - 1 ? start + size : start + (b + 1) * width,
    }));
  });
}

/** The weights of a block, ascending. */
export function indicesOf({ start, end }: BlockRange): Uint32Array {
  return indices(start, end);
}
