import { type Mat, matrix, referenceKernels, type Vec, type WindowShape, windowsShape } from "@secateur/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWasmKernels, type WasmKernels } from "../create-wasm-kernels.ts";
import { configurations, nameOf, Operands, roundoff, worstRatio } from "../kernels.test-support.ts";
import { windowPairs } from "./window-pairs.ts";

const base = {
  batch: 3,
  height: 8,
  width: 8,
  channels: 16,
  kernel: [3, 3],
  stride: 1,
  padding: 1,
  dilation: 1,
} as const;
const shapes: readonly WindowShape[] = [
  base,
  // Several partial sums, of several images each.
  { ...base, batch: 70 },
  // Rectangles of several blocks.
  { ...base, batch: 2, height: 40, width: 37 },
  { ...base, channels: 8, height: 11, kernel: [5, 5], padding: 0 },
  { ...base, channels: 4, kernel: [2, 3], padding: 2 },
  // Every tap sees other pixels, some see none.
  { ...base, channels: 4, height: 2, width: 1, padding: 2 },
  { ...base, channels: 24, channelRange: [8, 20] },
  // By written windows.
  { ...base, channels: 3 },
  { ...base, stride: 2 },
];

describe("which pixels a pair of taps sees", () => {
  it("are the rectangles that it takes, each once, for all pairs", () => {
    for (const shape of shapes.slice(0, 7)) {
      const { height, width, kernel, padding } = shape;
      const { outHeight, outWidth } = windowsShape(shape);
      const { displacements, rectangles, pairs } = windowPairs(shape);
      const taps = kernel[0] * kernel[1];
      expect(pairs.length).toBe((taps * (taps + 1)) / 2);
      for (const { taps: both, parts } of pairs) {
        const [[ky, kx], [ly, lx]] = both.map((tap) => [Math.floor(tap / kernel[1]), tap % kernel[1]]) as [
          [number, number],
          [number, number],
        ];
        const way = displacements.find(({ down, across }) => down === ly - ky && across === lx - kx)!;
        expect(parts.every((part) => part >= way.first && part < way.end)).toBe(true);
        const seen = new Int32Array(height * width);
        for (let oy = 0; oy < outHeight; oy++) {
          for (let ox = 0; ox < outWidth; ox++) {
            const [y, x, v, u] = [oy - padding + ky, ox - padding + kx, oy - padding + ly, ox - padding + lx];
            const isInside = Math.min(y, x, v, u) >= 0 && Math.max(y, v) < height && Math.max(x, u) < width;
            if (isInside) seen[y * width + x]! += 1;
          }
        }
        for (const part of parts) {
          const [top, bottom, left, right] = rectangles[part]!;
          for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) seen[y * width + x]! -= 1;
        }
        expect(seen.every((count) => count === 0)).toBe(true);
      }
    }
  });

  it("take 13 products of all channels a pixel for 3 x 3 taps, where windows take 40, and little more at borders", () => {
    const { displacements, rectangles } = windowPairs({ ...base, height: 32, width: 32 });
    const pixels = rectangles.reduce((sum, [top, bottom, left, right]) => sum + (bottom - top) * (right - left), 0);
    expect([displacements.length, rectangles.length]).toEqual([13, 29]);
    expect(pixels / 32 ** 2).toBeLessThan(13);
  });
});

/** By dtype and shape: operands are the same numbers in every configuration. */
const known = new Map<string, readonly { out: Mat; sums: Vec }[]>();

/** Sums over the images, and those added to themselves. */
function expectedOf(shape: WindowShape, images: Vec): readonly { out: Mat; sums: Vec }[] {
  const key = JSON.stringify([shape, images.BYTES_PER_ELEMENT]);
  const found = known.get(key);
  if (found) return found;
  const { cols } = windowsShape(shape);
  const [out, sums] = [matrix(cols, cols, new Float64Array(cols * cols)), new Float64Array(cols)];
  referenceKernels.windowGram!({ shape, images: Float64Array.from(images), out, sums });
  const twice = (x: Vec): Vec => x.map((value: number) => 2 * value);
  const both = [
    { out, sums },
    { out: { ...out, data: twice(out.data) }, sums: twice(sums) },
  ];
  known.set(key, both);
  return both;
}

describe.each(configurations.map((options) => [nameOf(options), options] as const))(
  "second moments of windows, %s",
  (_, options) => {
    let kernels: WasmKernels;
    beforeAll(async () => {
      kernels = await createWasmKernels(options);
    });
    afterAll(() => kernels.close());

    it.each(["f32", "f64"] as const)("are those of the definition, symmetric to the last bit, %s", (dtype) => {
      for (const residence of ["inside", "outside"] as const) {
        for (const shape of shapes) {
          const make = new Operands(kernels, dtype, residence);
          const { rows, cols } = windowsShape(shape);
          const images = make.realVector(shape.batch * shape.height * shape.width * shape.channels);
          const found = { out: matrix(cols, cols, make.vector(cols * cols)), sums: make.vector(cols) };
          const expected = expectedOf(shape, images);
          for (const beta of [0, 1] as const) {
            kernels.windowGram!({ shape, images, ...found, beta });
            const { out, sums } = expected[beta]!;
            // A sum of n terms one after the other is off by sqrt(n) roundings of the largest sum on the way, which is that of n squares.
            const largest = Array.from(out.data).reduce((most, x) => Math.max(most, Math.abs(x)), 1);
            const limit = 4 * roundoff(dtype) * Math.sqrt(2 * rows + 1) * largest;
            for (const [a, b] of [
              [found.out.data, out.data],
              [found.sums, sums],
            ] as const) {
              expect(worstRatio(Array.from(a, (x, i) => [x - b[i]!, limit] as const))).toBeLessThanOrEqual(1);
            }
          }
          const { data } = found.out;
          expect(
            data.every((value: number, e: number) => value === data[(e % cols) * cols + Math.floor(e / cols)]),
          ).toBe(true);
        }
      }
    });

    // With so little memory the larger ones are done by written windows, whose sums are stored in f32 from some images to the next.
    const extents = options.maxMemoryBytes === undefined ? [32, 8] : [8];

    it.each(extents)("have sums of 64 f32 images, %i pixels high and wide, that are rounded once", (extent) => {
      const shape = { ...base, batch: 64, height: extent, width: extent, channels: 4 };
      const make = new Operands(kernels, "f32", "outside");
      // A little above 1 each, 2^-18 to 2^-17: sums in f32 lose all of that from 128 on, while roundings of numbers drawn at large average out.
      const images = make.realVector(64 * extent ** 2 * 4).map((value: number) => 1 + (3 + value) * 2 ** -19);
      const { cols } = windowsShape(shape);
      const sums = make.vector(cols);
      kernels.windowGram!({ shape, images, out: matrix(cols, cols, make.vector(cols * cols)), sums });
      const { sums: exact } = expectedOf(shape, images)[0]!;
      // One rounding is 2^-24 = 6e-8 at most.
      expect(worstRatio(Array.from(sums, (x, i) => [x - exact[i]!, 1e-7 * exact[i]!] as const))).toBeLessThanOrEqual(1);
    });
  },
);

it("second moments of windows are the same bytes on one thread and on three", async () => {
  const runs = await Promise.all(
    [1, 3].map(async (threads) => {
      const kernels = await createWasmKernels({ threads });
      const shape = { ...base, batch: 70, channels: 32 };
      const make = new Operands(kernels, "f32", "inside");
      const [out, sums] = [matrix(288, 288, make.vector(288 ** 2)), make.vector(288)];
      kernels.windowGram!({ shape, images: make.realVector(70 * 64 * 32), out, sums });
      await kernels.close();
      return { squares: out.data.slice(), sums: sums.slice() };
    }),
  );
  expect(runs[1]).toEqual(runs[0]);
});
