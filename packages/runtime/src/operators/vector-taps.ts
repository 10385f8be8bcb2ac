/** Weights as the kernels of assembly/vector-product.ts read them: in blocks of 1, 4 or 16 outputs that share their kept features. */
import type { Constant } from "../plan/builder.ts";
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
  const blocks = Math.ceil(outputs / rows);
  const kept = keptFeatures(spec, blocks);
  const count = isDense ? blocks * features : kept.total;
  const head = Math.ceil((12 * blocks) / 64) * 64;
  const constant = make(
    () => head + 4 * count * (rows + 1) + 64,
    ({ u32, f32 }, address) => {
      let weight = (address + head) / 4;
      let offset = weight + count * rows;
      for (let block = 0; block < blocks; block++) {
        const row = address / 4 + 3 * block;
        const taps = isDense ? features : kept.counts[block]!;
        u32.set([4 * weight, 4 * offset, taps], row);
        for (let f = 0; f < features; f++) {
          if (!isDense && !kept.has(block, f)) continue;
          u32[offset++] = 4 * f;
          for (let o = rows * block; o < rows * block + rows; o++)
            f32[weight++] = o < outputs ? weights[o * features + f]! : 0;
        }
      }
    },
  );
  return { constant, count };
}

function keptFeatures(
  { weights, outputs, features, rows, isDense }: Parameters<typeof vectorTaps>[0],
  blocks: number,
): { total: number; counts: Uint32Array; has: (block: number, feature: number) => boolean } {
  const has = (block: number, feature: number): boolean => {
    const last = Math.min(outputs, rows * block + rows);
    for (let o = rows * block; o < last; o++) if (weights[o * features + feature] !== 0) return true;
    return false;
  };
  const counts = new Uint32Array(blocks);
  let total = 0;
  if (!isDense) {
    for (let block = 0; block < blocks; block++) {
      for (let f = 0; f < features; f++) if (has(block, f)) counts[block]!++;
      total += counts[block]!;
    }
  }
  return { total, counts, has };
}
