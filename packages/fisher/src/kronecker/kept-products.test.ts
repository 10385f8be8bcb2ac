import { createRng, type LayerMoments, matrix, referenceKernels } from "@secateur/core";
import { gemmSpeedUp } from "@secateur/core/linalg";
import { expect, test } from "vitest";
import { kroneckerFactor } from "./kronecker-factor.ts";

const rng = createRng("kept products");

/** X'X / n of random rows. */
function moment(size: number) {
  const n = 2 * size;
  const X = Float64Array.from({ length: n * size }, () => rng.normal());
  const out = matrix(size, size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      let sum = 0;
      for (let r = 0; r < n; r++) sum += X[r * size + i]! * X[r * size + j]!;
      out.data[i * size + j] = sum / n;
    }
  }
  return out;
}

const layer = (param: string, out: number, size: number): LayerMoments => ({
  ...{ param, firstRow: 0, inputs: moment(size), deltas: moment(out) },
});

// 33 inputs do not fill a panel, 70 fill two and a part; of the third layer everything is kept, of the last nothing.
const layers = [layer("a", 5, 33), layer("b", 8, 70), layer("c", 4, 9), layer("d", 3, 12)];
const ends = [165, 165 + 560, 165 + 560 + 36];

test("products over few weights are those of all weights, with zeros elsewhere", async () => {
  const view = kroneckerFactor({ layers, share: 0.01, kernels: referenceKernels });
  const support = Uint32Array.from({ length: view.dim }, (_, j) => j).filter(
    (j) => (j >= ends[1]! && j < ends[2]!) || (j < ends[1]! && rng.integer(4) === 0),
  );
  const x = Float32Array.from(support, () => rng.normal());
  const whole = new Float32Array(view.dim);
  support.forEach((j, s) => {
    whole[j] = x[s]!;
  });
  const expected = new Float32Array(view.dim);
  await view.gramTimes!(whole, expected);
  const inner = view.restricted!(support);
  // Of "a" and "b" X'B over inputs in panels of 32, then 64 or 96 multiply-adds an entry that is kept; all of "c"; nothing of "d".
  const keptBelow = (end: number): number => support.filter((j) => j < end).length;
  const dense = 64 * 5 ** 2 + 96 * 8 ** 2 + 4 * 9 * (4 + 9);
  const sparse = 64 * keptBelow(ends[0]!) + 96 * (keptBelow(ends[1]!) - keptBelow(ends[0]!));
  expect(inner.productCost).toBeCloseTo(dense / gemmSpeedUp + sparse, 6);
  const found = new Float32Array(support.length);
  // Twice: nothing of the first product may be left in the second.
  await inner.gramTimes!(
    x.map((value) => 2 * value + 1),
    found,
  );
  await inner.gramTimes!(x, found);
  const largest = Math.max(...expected.map(Math.abs));
  // Sums of up to 70 f32 products, in another order.
  for (const [s, value] of found.entries())
    expect(Math.abs(value - expected[support[s]!]!)).toBeLessThan(1e-5 * largest);
  const back = new Float32Array(support.length);
  await inner.times(x, expected);
  await inner.transposeTimes(expected, back);
  for (const [s, value] of back.entries()) expect(Math.abs(value - found[s]!)).toBeLessThan(1e-4 * largest);
  expect(Array.from(inner.columnNormsSquared())).toEqual(Array.from(support, (j) => view.columnNormsSquared()[j]));
  inner.release();
  view.release();
});
