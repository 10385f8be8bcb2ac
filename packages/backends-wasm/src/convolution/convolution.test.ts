import { type ConvolutionShape, type Dtype, matrix, referenceKernels, type Vec, windowsShape } from "@secateur/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWasmKernels, type WasmKernels } from "../create-wasm-kernels.ts";
import { configurations, nameOf, Operands, type Residence, roundoff, worstRatio } from "../kernels.test-support.ts";

const base: ConvolutionShape = {
  batch: 3,
  height: 8,
  width: 8,
  channels: 8,
  outputs: 12,
  groups: 1,
  kernel: [3, 3],
  stride: 1,
  padding: 1,
  dilation: 1,
};
/** By name of the way they are computed. */
const shapes: readonly (readonly [string, ConvolutionShape])[] = [
  ["tiles", base],
  ["tiles, many blocks", { ...base, batch: 33, height: 8, width: 8, channels: 4, outputs: 8 }],
  ["tiles over the edge", { ...base, height: 7, width: 14, channels: 4, outputs: 20 }],
  ["tiles without padding", { ...base, height: 10, width: 9, padding: 0 }],
  ["tiles with wide padding", { ...base, height: 6, width: 6, padding: 2 }],
  ["tiles of many channels", { ...base, batch: 2, height: 4, channels: 60, outputs: 64 }],
  ["tiles of channels that fill no vector", { ...base, batch: 5, channels: 3, outputs: 8, height: 12, width: 8 }],
  ["windows, few channels", { ...base, channels: 2, outputs: 3, batch: 9, height: 16, width: 16 }],
  ["windows, stride 2", { ...base, stride: 2, height: 9, width: 6 }],
  ["windows, dilated", { ...base, dilation: 2, kernel: [2, 3], padding: 2 }],
  ["windows, strides that leave pixels out", { ...base, stride: 4, padding: 0, channels: 5 }],
  ["the images themselves", { ...base, kernel: [1, 1], padding: 0 }],
  ["one tap, stride 2", { ...base, kernel: [1, 1], padding: 0, stride: 2 }],
  ["channel by channel", { ...base, outputs: 8, groups: 8 }],
  ["channel by channel, stride 2", { ...base, outputs: 8, groups: 8, stride: 2, height: 9, width: 5 }],
  ["channel by channel, dilated", { ...base, outputs: 8, groups: 8, dilation: 2, padding: 2, kernel: [3, 1] }],
  ["odd channels one by one", { ...base, channels: 5, outputs: 5, groups: 5 }],
  ["two outputs a channel", { ...base, channels: 4, outputs: 8, groups: 4, padding: 3 }],
  ["groups", { ...base, groups: 2, stride: 2, height: 7 }],
  ["kernels larger than the image", { ...base, height: 2, width: 3, padding: 0 }],
  ["no images", { ...base, batch: 0 }],
];

const dtypes: readonly Dtype[] = ["f32", "f64"];
const residences: readonly Residence[] = ["inside", "outside"];

/**
 * Entries below 1 in sums of n products: rounding grows like sqrt(n) a sum, and tiles of 6 x 6 multiply it by up to about 20
 * (Barabasz et al. 2020, table 2).
 */
const bound = (dtype: Dtype, terms: number): number => 40 * roundoff(dtype) * Math.sqrt(terms + 1) * 4;

const sizesOf = (shape: ConvolutionShape): Record<"images" | "outputs" | "weights" | "terms" | "positions", number> => {
  const { rows } = windowsShape(shape);
  const terms = (shape.channels / shape.groups) * shape.kernel[0] * shape.kernel[1];
  return {
    images: shape.batch * shape.height * shape.width * shape.channels,
    outputs: rows * shape.outputs,
    weights: shape.outputs * terms,
    terms,
    positions: rows,
  };
};

describe.each(configurations.map((options) => [nameOf(options), options] as const))(
  "convolutions, %s",
  (_, options) => {
    let kernels: WasmKernels;
    beforeAll(async () => {
      kernels = await createWasmKernels(options);
    });
    afterAll(() => kernels.close());

    const close = (found: Vec, expected: Vec, limit: number): void => {
      expect(worstRatio(Array.from(found, (x, i) => [x - expected[i]!, limit] as const))).toBeLessThanOrEqual(1);
    };

    describe.each(shapes)("%s", (_, shape) => {
      it.each(dtypes)("outputs, with bias, sum and positive part, are those of the definition, %s", (dtype) => {
        for (const residence of residences) {
          const make = new Operands(kernels, dtype, residence);
          const { images, outputs, weights, terms } = sizesOf(shape);
          const x = make.realVector(images);
          const [w, bias, scale] = [
            make.realVector(weights),
            make.realVector(shape.outputs),
            make.realVector(shape.outputs),
          ];
          for (const [beta, relu, factors] of [
            [0, false, { bias }],
            [1, false, {}],
            [0, true, { bias, scale }],
            [1, true, { scale }],
            [1, true, { bias, scale }],
          ] as const) {
            const out = make.realVector(outputs);
            const expected = out.slice();
            const call = { shape, images: x, weights: w, beta, relu, ...factors };
            kernels.convolve({ ...call, out });
            referenceKernels.convolve({ ...call, out: expected });
            close(out, expected, bound(dtype, terms));
          }
        }
      });

      it.each(dtypes)("deltas carried back are those of the definition, %s", (dtype) => {
        for (const residence of residences) {
          const make = new Operands(kernels, dtype, residence);
          const { images, outputs, weights, terms } = sizesOf(shape);
          const [deltas, w] = [make.realVector(outputs), make.realVector(weights)];
          const [out, expected] = [make.realVector(images), make.realVector(images)];
          kernels.convolveBack({ shape, deltas, weights: w, out });
          referenceKernels.convolveBack({ shape, deltas, weights: w, out: expected });
          close(out, expected, bound(dtype, (terms * shape.outputs) / Math.max(1, shape.channels)));
        }
      });

      it.each(dtypes)("gradients of weights are those of the definition, group by group, %s", (dtype) => {
        for (const residence of residences) {
          const make = new Operands(kernels, dtype, residence);
          const { images, outputs, weights, positions } = sizesOf(shape);
          const [x, deltas] = [make.realVector(images), make.realVector(outputs)];
          for (const group of [1, 2, shape.batch + 1]) {
            const rows = Math.ceil(shape.batch / group);
            const [out, expected] = [make.real(rows, weights), make.real(rows, weights)];
            kernels.convolutionGradients({ shape, images: x, deltas, group, out });
            referenceKernels.convolutionGradients({ shape, images: x, deltas, group, out: expected });
            close(out.data, expected.data, bound(dtype, positions));
          }
        }
      });
    });

    it("weights that come again give the same bytes, and other ones as soon as one number is written", () => {
      for (const [, shape] of shapes) {
        const { images, outputs, weights } = sizesOf(shape);
        for (const residence of residences) {
          const make = new Operands(kernels, "f32", residence);
          const x = make.realVector(images);
          // Two f32 are compared as one f64 where they begin at a multiple of 8 bytes.
          const w = make
            .realVector(weights + 1)
            .subarray(residence === "inside" ? 0 : 1)
            .subarray(0, weights);
          const convolved = (reuse: boolean): Vec => {
            const out = make.vector(outputs);
            kernels.convolve({ shape, images: x, weights: w, out, reuse });
            return out;
          };
          for (let round = 0; round < 3; round++) {
            const expected = convolved(false);
            expect(convolved(true)).toEqual(expected);
            expect(convolved(true)).toEqual(expected);
            // The first, the last, and one in between: two numbers are compared at a time.
            const at = [0, weights - 1, weights >> 1][round]!;
            w[at] = w[at]! + 1;
          }
        }
      }
    });

    it("what is kept of weights that are gone is given back", () => {
      const shape = { ...base, kernel: [1, 1], padding: 0 } as const;
      const { images, outputs, weights } = sizesOf(shape);
      const [x, out, w] = [new Float32Array(images), new Float32Array(outputs), new Float32Array(weights)];
      kernels.convolve({ shape, images: x, weights: w, out, reuse: true });
      const before = kernels.usedBytes();
      for (let i = 1; i < 20; i++) {
        w[0] = i;
        kernels.convolve({ shape, images: x, weights: w, out, reuse: true });
      }
      expect(kernels.usedBytes()).toBe(before);
    });

    it("weights that there is no room to keep are neither copied nor kept", async () => {
      // An eighth of this memory is 8 MiB; the weights are 3, and their copy and what is made of them 6.
      const small = await createWasmKernels({ ...options, maxMemoryBytes: 64 * 1024 * 1024 });
      const shape = { ...base, batch: 1, height: 1, width: 1, kernel: [1, 1], padding: 0 } as const;
      const used = [1024, 768, 64].map((channels) => {
        const wide = { ...shape, channels, outputs: 1024 };
        const { images, outputs, weights } = sizesOf(wide);
        const [x, w, out] = [new Float32Array(images).fill(1), new Float32Array(weights), new Float32Array(outputs)];
        const before = small.usedBytes();
        for (let i = 0; i < 2; i++) small.convolve({ shape: wide, images: x, weights: w, out, reuse: true });
        return (small.usedBytes() - before) / w.byteLength;
      });
      await small.close();
      // 4 MiB and their copy just fit, after them 3 do not, and a quarter does not either.
      expect(used).toEqual([1, 0, 0]);
    });

    it("keeps NaN, also where the positive part is taken", () => {
      for (const shape of [base, { ...base, channels: 3 }, { ...base, outputs: 8, groups: 8 }]) {
        const { images, outputs, weights } = sizesOf(shape);
        const x = new Float32Array(images).fill(1);
        x[0] = Number.NaN;
        const out = new Float32Array(outputs);
        kernels.convolve({ shape, images: x, weights: new Float32Array(weights).fill(-1), out, relu: true });
        expect(out[0]).toBeNaN();
        expect(out.at(-1)).toBe(0);
      }
    });

    it("refuses operands of another size, groups that do not divide, and results over operands", () => {
      const { images, outputs, weights } = sizesOf(base);
      const [x, w, out] = [new Float32Array(images), new Float32Array(weights), new Float32Array(outputs)];
      expect(() => kernels.convolve({ shape: base, images: x, weights: w.subarray(1), out })).toThrow(
        /weights must have 864 entries; got 863/,
      );
      expect(() => kernels.convolve({ shape: { ...base, groups: 3 }, images: x, weights: w, out })).toThrow(
        /3 groups must divide 8 channels and 12 outputs/,
      );
      expect(() =>
        kernels.convolve({ shape: { ...base, outputs: 8 }, images: x, weights: w.subarray(0, 576), out: x }),
      ).toThrow(/overlaps/);
      expect(() => kernels.convolveBack({ shape: base, deltas: out.subarray(1), weights: w, out: x })).toThrow(
        RangeError,
      );
      expect(() =>
        kernels.convolutionGradients({ shape: base, images: x, deltas: out, group: 2, out: matrix(1, weights, w) }),
      ).toThrow(/out must be 2 x 864; got 1 x 864/);
    });
  },
);
