/** Weights as assembly/sparse-planes.ts and assembly/block-planes.ts read them: for every output, or every four, its kept taps one behind the other. */
import { nonzerosOf, rowStarts } from "../../file/nonzeros.ts";
import type { Constant } from "../../plan/builder.ts";

/** A matrix [outputs, taps] of weights, and where each tap of an output is read. */
export interface TapMatrix {
  readonly weights: Float32Array;
  readonly outputs: number;
  /** Taps of one output. */
  readonly taps: number;
  /** Bytes from an output's position to what each of its taps reads [taps], once rows have their distances. */
  readonly places: () => (output: number) => Int32Array;
}

/** A table of ends and the taps themselves. */
export interface TapTable {
  readonly constant: Constant;
  /** Address of the first end, once known. */
  readonly ends: () => number;
  /** Taps in all. */
  readonly count: number;
}

/** One output a row, once for every round over a part of the taps. `isDense`: zeros are kept. */
export function tapRows(
  matrix: TapMatrix,
  isDense: boolean,
  make: MakeConstant,
  rounds: () => number = () => 1,
): TapTable {
  const { weights, outputs, taps } = matrix;
  const kept = isDense ? undefined : nonzerosOf(weights);
  const count = kept?.length ?? weights.length;
  const headOf = (): number => tableBytes(outputs * rounds());
  const constant = make(
    () => headOf() + 8 * (count + 1),
    ({ u32, f32 }, address) => {
      const placesOf = matrix.places();
      const all = rounds();
      /** Of every row the next of its kept weights. */
      const next = kept && rowStarts(kept, outputs, taps);
      let end = address / 4;
      let at = (address + headOf()) / 4;
      u32[end++] = 4 * at;
      for (let round = 0; round < all; round++) {
        const [first, last] = [Math.floor((round * taps) / all), Math.floor(((round + 1) * taps) / all)];
        for (let o = 0; o < outputs; o++) {
          const row = { weights, places: placesOf(o), begin: o * taps };
          if (kept && next) {
            const from = next[o]!;
            next[o] = putKept({ ...row, kept, from, end: o * taps + last, u32, f32, at });
            at += 2 * (next[o]! - from);
          } else {
            for (let tap = first; tap < last; tap++, at += 2) {
              u32[at] = row.places[tap]!;
              f32[at + 1] = weights[row.begin + tap]!;
            }
          }
          u32[end++] = 4 * at;
        }
      }
    },
  );
  return { constant, ends: () => constant.address + 4, count };
}

/** Kept weights of a row, from one among all of them to the last before `end`: a function of its own, which engines compile after some rows. */
function putKept(row: {
  readonly weights: Float32Array;
  readonly places: Int32Array;
  readonly begin: number;
  readonly kept: Uint32Array;
  readonly from: number;
  readonly end: number;
  readonly u32: Uint32Array;
  readonly f32: Float32Array;
  /** Where the first of them goes, in words. */
  readonly at: number;
}): number {
  const { weights, places, begin, kept, end, u32, f32, at: first } = row;
  let k = row.from;
  for (let at = first; k < kept.length && kept[k]! < end; k++, at += 2) {
    u32[at] = places[kept[k]! - begin]!;
    f32[at + 1] = weights[kept[k]!]!;
  }
  return k;
}

/** Four outputs a row, which must read the same places; taps that all four have at zero are left out unless `isDense`. */
export function tapBlocks(matrix: TapMatrix, isDense: boolean, make: MakeConstant): TapTable {
  const { weights, outputs, taps } = matrix;
  const blocks = Math.ceil(outputs / 4);
  const weightAt = (output: number, tap: number): number => (output < outputs ? weights[output * taps + tap]! : 0);
  const kept = isDense ? undefined : keptTaps({ weights, rows: 4, features: taps }, blocks);
  const isKept = (block: number, tap: number): boolean => kept === undefined || kept[block * taps + tap] === 1;
  const count = kept?.reduce((sum, one) => sum + one, 0) ?? blocks * taps;
  const head = tableBytes(blocks);
  const constant = make(
    () => head + 20 * count,
    ({ u32, f32 }, address) => {
      const placesOf = matrix.places();
      let at = (address + head) / 4;
      u32[address / 4] = 4 * at;
      for (let block = 0; block < blocks; block++) {
        const places = placesOf(4 * block);
        for (let tap = 0; tap < taps; tap++) {
          if (!isKept(block, tap)) continue;
          u32[at++] = places[tap]!;
          for (let o = 4 * block; o < 4 * block + 4; o++) f32[at++] = weightAt(o, tap);
        }
        u32[address / 4 + 1 + block] = 4 * at;
      }
    },
  );
  return { constant, ends: () => constant.address + 4, count };
}

/** 1 for every tap of a block that at least one of its outputs keeps [blocks, features]. */
export function keptTaps(
  { weights, rows, features }: { readonly weights: Float32Array; readonly rows: number; readonly features: number },
  blocks: number,
): Uint8Array {
  const kept = new Uint8Array(blocks * features);
  for (const place of nonzerosOf(weights)) {
    const o = Math.floor(place / features);
    kept[Math.floor(o / rows) * features + place - o * features] = 1;
  }
  return kept;
}

/** Makes a constant, as a builder does. */
export type MakeConstant = (bytes: () => number, write: Constant["write"]) => Constant;

function tableBytes(rows: number): number {
  return Math.ceil((rows + 1) / 16) * 64;
}
