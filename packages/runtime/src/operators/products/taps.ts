/** Weights as assembly/sparse-planes.ts and assembly/block-planes.ts read them: for every output, or every four, its kept taps one behind the other. */
import type { Constant } from "../../plan/builder.ts";
import { bitsOf, countNonzeros, isNonzero } from "./nonzero.ts";

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
  const count = isDense ? weights.length : countNonzeros(weights);
  const headOf = (): number => tableBytes(outputs * rounds());
  const constant = make(
    // One tap more than there are: the place behind the last one is written, too.
    () => headOf() + 8 * (count + 1),
    ({ u32, f32 }, address) => {
      const placesOf = matrix.places();
      const bits = bitsOf(weights);
      const everywhere = Number(isDense);
      const all = rounds();
      let end = address / 4;
      let at = (address + headOf()) / 4;
      u32[end++] = 4 * at;
      for (let round = 0; round < all; round++) {
        const [first, last] = [Math.floor((round * taps) / all), Math.floor(((round + 1) * taps) / all)];
        for (let o = 0; o < outputs; o++) {
          const places = placesOf(o);
          for (let tap = first, i = o * taps + first; tap < last; tap++, i++) {
            // Written over by the next one where it does not count: processors guess wrong at every other branch on a random mask.
            u32[at] = places[tap]!;
            f32[at + 1] = weights[i]!;
            at += 2 * (isNonzero(bits[i]!) | everywhere);
          }
          u32[end++] = 4 * at;
        }
      }
      u32[at] = 0;
      u32[at + 1] = 0;
    },
  );
  return { constant, ends: () => constant.address + 4, count };
}

/** Four outputs a row, which must read the same places; taps that all four have at zero are left out unless `isDense`. */
export function tapBlocks(matrix: TapMatrix, isDense: boolean, make: MakeConstant): TapTable {
  const { weights, outputs, taps } = matrix;
  const blocks = Math.ceil(outputs / 4);
  const weightAt = (output: number, tap: number): number => (output < outputs ? weights[output * taps + tap]! : 0);
  const isKept = (block: number, tap: number): boolean => {
    for (let o = 4 * block; o < 4 * block + 4; o++) if (weightAt(o, tap) !== 0) return true;
    return false;
  };
  let count = blocks * taps;
  if (!isDense) {
    count = 0;
    for (let block = 0; block < blocks; block++)
      for (let tap = 0; tap < taps; tap++) count += Number(isKept(block, tap));
  }
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
          if (!isDense && !isKept(block, tap)) continue;
          u32[at++] = places[tap]!;
          for (let o = 4 * block; o < 4 * block + 4; o++) f32[at++] = weightAt(o, tap);
        }
        u32[address / 4 + 1 + block] = 4 * at;
      }
    },
  );
  return { constant, ends: () => constant.address + 4, count };
}

/** Makes a constant, as a builder does. */
export type MakeConstant = (bytes: () => number, write: Constant["write"]) => Constant;

function tableBytes(rows: number): number {
  return Math.ceil((rows + 1) / 16) * 64;
}
