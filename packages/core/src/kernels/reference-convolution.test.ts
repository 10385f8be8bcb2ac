import { expect, test } from "vitest";
import { matrix } from "../problem/matrix.ts";
import { createRng } from "../rng.ts";
import { windowsShape } from "./kernel-shapes.ts";
import type { ConvolutionShape } from "./kernels.ts";
import { referenceKernels as kernels } from "./reference-kernels.ts";

const rng = createRng("convolutions");
const random = (length: number): Float64Array => Float64Array.from({ length }, () => rng.normal());
const shape: ConvolutionShape = {
  batch: 3,
  height: 6,
  width: 5,
  channels: 4,
  outputs: 6,
  groups: 2,
  kernel: [3, 2],
  stride: 2,
  padding: 2,
  dilation: 2,
};
const { outHeight, outWidth, rows } = windowsShape(shape);
const [x, w, bias] = [random(3 * 6 * 5 * 4), random(6 * 2 * 3 * 2), random(6)];
const convolved = (weights: Float64Array, images = x): Float64Array => {
  const out = new Float64Array(rows * 6);
  kernels.convolve({ shape, images, weights, out });
  return out;
};

test("an output is the sum over the taps of its group that lie inside the image", () => {
  const out = new Float64Array(rows * 6).fill(1);
  kernels.convolve({ shape, images: x, weights: w, bias, out, beta: 1, relu: true });
  let positive = 0;
  for (const [n, oy, ox, o] of [
    [0, 0, 0, 0],
    [2, 1, 1, 5],
    [1, outHeight - 1, outWidth - 1, 3],
    [0, 1, 0, 2],
  ] as const) {
    let sum = bias[o]! + 1;
    for (let c = 0; c < 2; c++) {
      for (let ky = 0; ky < 3; ky++) {
        for (let kx = 0; kx < 2; kx++) {
          const [y, column] = [oy * 2 - 2 + ky * 2, ox * 2 - 2 + kx * 2];
          if (y < 0 || y >= 6 || column < 0 || column >= 5) continue;
          const channel = (o < 3 ? 0 : 2) + c;
          sum += x[((n * 6 + y) * 5 + column) * 4 + channel]! * w[((o * 2 + c) * 3 + ky) * 2 + kx]!;
        }
      }
    }
    if (sum > 0) positive++;
    // f64 sums of at most 14 terms of order 1.
    expect(out[((n * outHeight + oy) * outWidth + ox) * 6 + o]).toBeCloseTo(Math.max(0, sum), 13);
  }
  expect(positive).toBeGreaterThan(0);
});

test("going back is the adjoint in the images, and gradients are the adjoint in the weights, row by row", () => {
  const deltas = random(rows * 6);
  const back = new Float64Array(x.length).fill(7);
  kernels.convolveBack({ shape, deltas, weights: w, out: back });
  const z = random(x.length);
  expect(kernels.dot(back, z)).toBeCloseTo(kernels.dot(deltas, convolved(w, z)), 10);

  const gradients = matrix(2, w.length, new Float64Array(2 * w.length).fill(7));
  kernels.convolutionGradients({ shape, images: x, deltas, group: 2, out: gradients });
  const v = random(w.length);
  const along = convolved(v);
  const each = (rows / 3) * 6;
  for (const [row, from, to] of [
    [0, 0, 2],
    [1, 2, 3],
  ] as const) {
    const found = kernels.dot(gradients.data.subarray(row * w.length, (row + 1) * w.length), v);
    const part = [from * each, to * each] as const;
    expect(found).toBeCloseTo(kernels.dot(deltas.subarray(...part), along.subarray(...part)), 10);
  }
});

test("the largest entry of a window is taken from its first place; a window outside the image gives 0 from nowhere", () => {
  const images = Float32Array.of(3, 1, 3, Number.NaN, 2, 2);
  const outer = {
    batch: 1,
    height: 1,
    width: 6,
    channels: 1,
    kernel: [1, 2],
    stride: 2,
    padding: 0,
    dilation: 1,
  } as const;
  const [out, taken] = [new Float32Array(3), new Uint32Array(3)];
  kernels.maxWindows({ shape: outer, images, out, taken });
  expect([...out]).toEqual([3, Number.NaN, 2]);
  expect([...taken]).toEqual([0, 3, 4]);
  const padded = { ...outer, kernel: [1, 1], stride: 1, padding: 1 } as const;
  const [wide, places] = [new Float32Array(24).fill(9), new Uint32Array(24)];
  kernels.maxWindows({ shape: padded, images, out: wide, taken: places });
  expect([wide[0], places[0], wide[9], places[9]]).toEqual([0, 2 ** 32 - 1, 3, 0]);
});
