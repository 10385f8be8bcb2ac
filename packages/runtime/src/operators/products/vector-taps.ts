/** Weights as the kernels of assembly/vector-product.ts read them: in blocks of 1, 4 or 16 outputs that share their kept features. */
import type { Constant } from "../../plan/builder.ts";
import { bitsOf, countNonzeros, isNonzero } from "./nonzero.ts";
import type { MakeConstant } from "./taps.ts";

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
): { readonly constant: Constant; readonly count: number } {
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
  return { constant, count };
}

/** Blocks of one row, of which the kept features are the weights that are not zero. */
function rowTaps(
  { weights, outputs, features }: Parameters<typeof vectorTaps>[0],
  make: MakeConstant,
): ReturnType<typeof vectorTaps> {
  const count = countNonzeros(weights);
  const head = Math.ceil((12 * outputs) / 64) * 64;
  const constant = make(
    () => head + 8 * (count + 1) + 64,
    ({ u32, f32 }, address) => {
      const bits = bitsOf(weights);
      let weight = (address + head) / 4;
      const toOffset = count + 1;
      for (let output = 0, i = 0; output < outputs; output++) {
        const row = address / 4 + 3 * output;
        u32[row] = 4 * weight;
        u32[row + 1] = 4 * (weight + toOffset);
        const before = weight;
        for (let f = 0; f < features; f++, i++) {
          u32[weight + toOffset] = 4 * f;
          f32[weight] = weights[i]!;
          weight += isNonzero(bits[i]!);
        }
        u32[row + 2] = weight - before;
      }
    },
  );
  return { constant, count };
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
