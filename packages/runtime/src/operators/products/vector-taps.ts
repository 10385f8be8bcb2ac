/** Weights as the kernels of assembly/vector-product.ts read them: in blocks of 1, 4 or 16 outputs that share their kept features. */
import type { Constant } from "../../plan/builder.ts";
import { bitsOf, countNonzeros, isNonzero } from "./nonzero.ts";
import type { MakeConstant } from "./taps.ts";

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
  const kept = keptFeatures(spec, blocks);
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
  const lengths = Array.from({ length: outputs }, (_, o) =>
    countNonzeros(weights.subarray(o * features, (o + 1) * features)),
  );
  const order = lengths.map((_, o) => o).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const blocks = Math.ceil(outputs / 4);
  // The first of a block is its longest.
  const taps = Array.from({ length: blocks }, (_, block) => lengths[order[4 * block]!]!);
  const count = taps.reduce((sum, length) => sum + length, 0);
  const isWide = features > nearFeatures;
  const offsetBytes = isWide ? 4 : 2;
  const head = Math.ceil((32 * blocks) / 64) * 64;
  const constant = make(
    // Room for one tap more than there are: what is not kept is written there, and then written over.
    () => head + 4 * (count + 1) * (4 + offsetBytes) + 64,
    ({ u32, f32 }, address) => {
      const bits = bitsOf(weights);
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
          const row = { from: o === undefined ? 0 : o * features, count: o === undefined ? 0 : features };
          writeRow({ ...row, weights, bits, f32, offsets, weight: weight + lane, offset: offset + lane, length });
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
  readonly bits: Int32Array;
  readonly from: number;
  readonly count: number;
  readonly f32: Float32Array;
  readonly offsets: Uint32Array | Uint16Array;
  readonly weight: number;
  readonly offset: number;
  /** Taps of the block. */
  readonly length: number;
}): void {
  const { weights, bits, from, count, f32, offsets, weight, offset, length } = row;
  let [w, p] = [weight, offset];
  for (let f = 0, i = from; f < count; f++, i++) {
    f32[w] = weights[i]!;
    offsets[p] = 4 * f;
    const step = 4 * isNonzero(bits[i]!);
    w += step;
    p += step;
  }
  const last = p > offset ? offsets[p - 4]! : 0;
  for (const end = weight + 4 * length; w < end; w += 4, p += 4) {
    f32[w] = 0;
    offsets[p] = last;
  }
}

/** 1 for every feature of a block that at least one of its outputs keeps, or that all do. */
function keptFeatures(
  { weights, outputs, features, rows, isDense }: Parameters<typeof vectorTaps>[0],
  blocks: number,
): Uint8Array {
  const kept = new Uint8Array(blocks * features);
  if (isDense) return kept.fill(1);
  const bits = bitsOf(weights);
  for (let o = 0, i = 0; o < outputs; o++) {
    const row = Math.floor(o / rows) * features;
    for (let f = 0; f < features; f++, i++) kept[row + f] = kept[row + f]! | isNonzero(bits[i]!);
  }
  return kept;
}
