/** Weights as the kernels of assembly/vector-product.ts read them: in blocks of 1, 4 or 16 outputs that share their kept features. */
import { nonzerosOf, rowStarts } from "../../file/nonzeros.ts";
import type { Constant } from "../../plan/builder.ts";
import { keptTaps, type MakeConstant } from "./taps.ts";

/** Weights in memory. */
export interface VectorTaps {
  readonly constant: Constant;
  /** Taps: one weight each where blocks are of one row. */
  readonly count: number;
  /** Whether offsets of rows are u32. */
  readonly isWide: boolean;
}

/** @param spec.weights - [outputs, features] @param spec.rows - outputs of a block: 1, 4 or 16 */
export function vectorTaps(
  spec: {
    readonly weights: Float32Array;
    readonly outputs: number;
    readonly features: number;
    readonly rows: number;
    readonly isDense: boolean;
  },
  make: MakeConstant,
): VectorTaps {
  const { weights, outputs, features, rows, isDense } = spec;
  if (rows === 1 && !isDense) return rowTaps(spec, make);
  const blocks = Math.ceil(outputs / rows);
  const kept = isDense ? new Uint8Array(blocks * features).fill(1) : keptTaps(spec, blocks);
  let count = 0;
  for (let i = 0; i < kept.length; i++) count += kept[i]!;
  const head = Math.ceil((12 * blocks) / 64) * 64;
  const constant = make(
    // Room for one block of weights and one offset more than there are: what is not kept is written there, and then written over.
    () => head + 4 * (count + 1) * (rows + 1) + 64,
    ({ u32, f32 }, address) => {
      let weight = (address + head) / 4;
      let offset = weight + (count + 1) * rows;
      for (let block = 0, i = 0; block < blocks; block++) {
        const row = address / 4 + 3 * block;
        u32[row] = 4 * weight;
        u32[row + 1] = 4 * offset;
        const before = offset;
        const last = Math.min(outputs, rows * (block + 1));
        for (let f = 0; f < features; f++, i++) {
          u32[offset] = 4 * f;
          // Outputs beyond the last one keep the zeros of new memory.
          for (let o = rows * block; o < last; o++) f32[weight + o - rows * block] = weights[o * features + f]!;
          const isKept = kept[i]!;
          offset += isKept;
          weight += rows * isKept;
        }
        u32[row + 2] = offset - before;
      }
    },
  );
  return { constant, count, isWide: true };
}

/** Bytes of a u16 offset reach so many features. */
const nearFeatures = 2 ** 14;

/**
 * Four rows at a time, each with features of its own. Rows are taken in the order of how many those are, so that the four are
 * about as long; shorter ones end with zeros at the feature that they read last.
 */
function rowTaps({ weights, outputs, features }: Parameters<typeof vectorTaps>[0], make: MakeConstant): VectorTaps {
  const kept = nonzerosOf(weights);
  const starts = rowStarts(kept, outputs, features);
  const lengths = Array.from({ length: outputs }, (_, o) => starts[o + 1]! - starts[o]!);
  const order = lengths.map((_, o) => o).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const blocks = Math.ceil(outputs / 4);
  // The first of a block is its longest.
  const taps = Array.from({ length: blocks }, (_, block) => lengths[order[4 * block]!]!);
  const count = taps.reduce((sum, length) => sum + length, 0);
  const isWide = features > nearFeatures;
  const offsetBytes = isWide ? 4 : 2;
  const head = Math.ceil((32 * blocks) / 64) * 64;
  const constant = make(
    () => head + 4 * (count + 1) * (4 + offsetBytes) + 64,
    ({ u32, f32 }, address) => {
      const firstOffset = address + head + 16 * (count + 1);
      const offsets = isWide ? u32 : new Uint16Array(u32.buffer);
      let weight = (address + head) / 4;
      let offset = firstOffset / offsetBytes;
      for (let block = 0; block < blocks; block++) {
        const length = taps[block]!;
        u32.set([4 * weight, offsetBytes * offset, length, 0], address / 4 + 8 * block);
        for (let lane = 0; lane < 4; lane++) {
          const o = order[4 * block + lane];
          // Lanes without an output store behind the last one.
          u32[address / 4 + 8 * block + 4 + lane] = o ?? 4 * block + lane;
          const row =
            o === undefined
              ? { begin: 0, from: 0, to: 0 }
              : { begin: o * features, from: starts[o]!, to: starts[o + 1]! };
          writeRow({ ...row, weights, kept, f32, offsets, weight: weight + lane, offset: offset + lane, length });
        }
        weight += 4 * length;
        offset += 4 * length;
      }
    },
  );
  return { constant, count: 4 * count, isWide };
}

/** One of the four rows of a block: a function of its own, which engines compile after some rows. */
function writeRow(row: {
  readonly weights: Float32Array;
  /** Places of all kept weights, of which the row has those `from` up to `to`; its first weight is at `begin`. */
  readonly kept: Uint32Array;
  readonly begin: number;
  readonly from: number;
  readonly to: number;
  readonly f32: Float32Array;
  readonly offsets: Uint32Array | Uint16Array;
  readonly weight: number;
  readonly offset: number;
  /** Taps of the block. */
  readonly length: number;
}): void {
  const { weights, kept, begin, from, to, f32, offsets, weight, offset, length } = row;
  let [w, p] = [weight, offset];
  for (let k = from; k < to; k++, w += 4, p += 4) {
    f32[w] = weights[kept[k]!]!;
    offsets[p] = 4 * (kept[k]! - begin);
  }
  const last = p > offset ? offsets[p - 4]! : 0;
  for (const end = weight + 4 * length; w < end; w += 4, p += 4) {
    f32[w] = 0;
    offsets[p] = last;
  }
}
