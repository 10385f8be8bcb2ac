import { expect, test } from "vitest";
import { matrix, type Vec } from "../problem/matrix.ts";
import { createRng } from "../rng.ts";
import { windowsShape } from "./kernel-shapes.ts";
import type { WindowShape } from "./kernels.ts";
import { referenceKernels as kernels } from "./reference-kernels.ts";

const rng = createRng("window gram");
const shape: WindowShape = {
  ...{ batch: 3, height: 5, width: 4, channels: 3, kernel: [3, 2], stride: 2, padding: 1, dilation: 1 },
  channelRange: [1, 3],
};
const images = Float64Array.from({ length: 3 * 5 * 4 * 3 }, () => rng.normal());

function windowsOf(): { windows: Vec; rows: number; cols: number } {
  const { rows, cols } = windowsShape(shape);
  const windows = matrix(rows, cols, new Float64Array(rows * cols));
  kernels.gatherWindows({ shape, images, windows });
  return { windows: windows.data, rows, cols };
}

test("second moments of windows are sums over the windows one by one, added to what was there or not", () => {
  const { windows, rows, cols } = windowsOf();
  for (const beta of [0, 1] as const) {
    const [out, sums] = [matrix(cols, cols, new Float64Array(cols * cols).fill(3)), new Float64Array(cols).fill(5)];
    kernels.windowGram!({ shape, images, out, sums, beta });
    for (let i = 0; i < cols; i++) {
      let sum = 5 * beta;
      for (let row = 0; row < rows; row++) sum += windows[row * cols + i]!;
      expect(sums[i]).toBeCloseTo(sum, 12); // f64 sums of 27 terms of order 1
      for (let j = 0; j < cols; j++) {
        let product = 3 * beta;
        for (let row = 0; row < rows; row++) product += windows[row * cols + i]! * windows[row * cols + j]!;
        expect(out.data[i * cols + j]).toBeCloseTo(product, 12);
      }
    }
  }
});

test("windows of no images are no terms", () => {
  const { cols } = windowsShape(shape);
  const out = matrix(cols, cols, new Float64Array(cols * cols).fill(2));
  const none = { shape: { ...shape, batch: 0 }, images: new Float64Array(0), out };
  kernels.windowGram!({ ...none, beta: 1 });
  expect(out.data.every((value: number) => value === 2)).toBe(true);
  kernels.windowGram!(none);
  expect(out.data.every((value: number) => value === 0)).toBe(true);
});
