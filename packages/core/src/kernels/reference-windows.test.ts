import { expect, test } from "vitest";
import { matrix } from "../problem/matrix.ts";
import { createRng } from "../rng.ts";
import { windowsShape } from "./kernel-shapes.ts";
import type { WindowShape } from "./kernels.ts";
import { referenceKernels as kernels } from "./reference-kernels.ts";

const rng = createRng("windows");
const shape: WindowShape = {
  batch: 2,
  height: 5,
  width: 4,
  channels: 3,
  kernel: [3, 2],
  stride: 2,
  padding: 1,
  dilation: 1,
  channelRange: [1, 3],
};
const random = (length: number): Float64Array => Float64Array.from({ length }, () => rng.normal());

test("a window holds the entries of the image under its taps, and 0 outside", () => {
  const { rows, cols, outHeight, outWidth } = windowsShape(shape);
  expect([outHeight, outWidth, rows, cols]).toEqual([3, 3, 18, 12]);
  const images = random(2 * 5 * 4 * 3);
  const windows = matrix(rows, cols, new Float64Array(rows * cols).fill(Number.NaN));
  kernels.gatherWindows({ shape, images, windows });
  for (const [n, oy, ox, ky, kx, c] of [
    [0, 0, 0, 0, 0, 1],
    [1, 2, 2, 2, 1, 2],
    [1, 1, 2, 0, 0, 1],
    [0, 2, 1, 1, 1, 2],
  ] as const) {
    const [y, x] = [oy * 2 - 1 + ky, ox * 2 - 1 + kx];
    const isInside = y >= 0 && y < 5 && x >= 0 && x < 4;
    const expected = isInside ? images[((n * 5 + y) * 4 + x) * 3 + c]! : 0;
    expect(windows.data[((n * 3 + oy) * 3 + ox) * 12 + (ky * 2 + kx) * 2 + (c - 1)]).toBe(expected);
  }
});

test("scattering is the adjoint of gathering, and leaves other channels alone", () => {
  const { rows, cols } = windowsShape(shape);
  const [x, u] = [random(120), random(rows * cols)];
  const windows = matrix(rows, cols, new Float64Array(rows * cols));
  kernels.gatherWindows({ shape, images: x, windows });
  const back = new Float64Array(120).fill(7);
  kernels.scatterWindows({ shape, images: back, windows: matrix(rows, cols, u) });
  let inner = 0;
  back.forEach((value, i) => {
    if (i % 3 === 0) expect(value).toBe(7);
    else inner += value * x[i]!;
  });
  expect(inner).toBeCloseTo(kernels.dot(windows.data, u), 10); // f64 sums of some hundred terms of order 1
});

test("affineColumns and columnDots are their formulas; blocks are transposed one by one", () => {
  const [a, b] = [matrix(4, 3, random(12)), matrix(4, 3, random(12))];
  const [alpha, beta, gamma] = [random(3), random(3), random(3)];
  const out = matrix(4, 3, new Float64Array(12));
  kernels.affineColumns({ a, alpha, b, beta, gamma, out });
  const dots = new Float64Array(3);
  kernels.columnDots(a, b, dots);
  for (let j = 0; j < 3; j++) {
    let sum = 0;
    for (let i = 0; i < 4; i++) {
      const [x, y] = [a.data[i * 3 + j]!, b.data[i * 3 + j]!];
      sum += x * y;
      expect(out.data[i * 3 + j]).toBeCloseTo(alpha[j]! * x + beta[j]! * y + gamma[j]!, 14);
    }
    expect(dots[j]).toBeCloseTo(sum, 14);
  }
  const turned = new Float64Array(12);
  kernels.transposeBlocks(
    Float64Array.from({ length: 12 }, (_, i) => i),
    { count: 2, rows: 2, cols: 3 },
    turned,
  );
  expect([...turned]).toEqual([0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
});
