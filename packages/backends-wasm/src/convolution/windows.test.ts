import { type Dtype, type Kernels, referenceKernels, type Vec, type WindowShape, windowsShape } from "@secateur/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWasmKernels, type WasmKernels } from "../create-wasm-kernels.ts";
import { configurations, expectSame, nameOf, Operands, type Residence, worstRatio } from "../kernels.test-support.ts";

const dtypes: readonly Dtype[] = ["f32", "f64"];
const residences: readonly Residence[] = ["inside", "outside"];
const base = {
  batch: 3,
  height: 7,
  width: 6,
  channels: 5,
  kernel: [3, 3],
  stride: 1,
  padding: 1,
  dilation: 1,
} as const;
const shapes: readonly WindowShape[] = [
  base,
  { ...base, channels: 16, batch: 9, height: 32, width: 32 },
  { ...base, stride: 2, channels: 4 },
  { ...base, kernel: [1, 1], stride: 2, padding: 0 },
  { ...base, kernel: [2, 3], padding: 2, dilation: 2 },
  { ...base, kernel: [5, 1], stride: 3, padding: 0 },
  { ...base, channelRange: [1, 4] },
  { ...base, kernel: [3, 3], padding: 4, stride: 4 },
];

describe.each(configurations.map((options) => [nameOf(options), options] as const))("images, %s", (_, options) => {
  let kernels: WasmKernels;
  beforeAll(async () => {
    kernels = await createWasmKernels(options);
  });
  afterAll(() => kernels.close());

  it.each(dtypes)("windows, their adjoint and transposition give the reference's bytes, %s", (dtype) => {
    for (const residence of residences) {
      const make = new Operands(kernels, dtype, residence);
      for (const shape of shapes) {
        const { rows, cols } = windowsShape(shape);
        const size = shape.batch * shape.height * shape.width * shape.channels;
        const where = `${JSON.stringify(shape)} ${residence}`;
        const both = (start: Vec, run: (k: Kernels, out: Vec) => void): void => {
          const expected = start.slice();
          run(kernels, start);
          run(referenceKernels, expected);
          expectSame(start, expected, where);
        };
        const images = make.realVector(size);
        both(make.realVector(rows * cols), (k, data) =>
          k.gatherWindows({ shape, images, windows: { rows, cols, data } }),
        );
        const windows = make.real(rows, cols);
        both(make.realVector(size), (k, data) => k.scatterWindows({ shape, images: data, windows }));
        const blocks = { count: shape.batch, rows: shape.height * shape.width, cols: shape.channels };
        both(make.vector(size), (k, data) => k.transposeBlocks(images, blocks, data));
      }
    }
  });

  it.each(dtypes)(
    "largest entries of windows and their places are the reference's, ties and NaN included, %s",
    (dtype) => {
      for (const residence of residences) {
        const make = new Operands(kernels, dtype, residence);
        for (const { channelRange: _, ...shape } of shapes) {
          const images = make.wholeVector(shape.batch * shape.height * shape.width * shape.channels, 3);
          images[7] = Number.NaN;
          const length = windowsShape(shape).rows * shape.channels;
          const results = [kernels, referenceKernels].map((k) => {
            const [out, taken] = [make.realVector(length), new Uint32Array(length)];
            k.maxWindows({ shape, images, out, taken });
            return { out, taken };
          });
          expectSame(results[0]!.out, results[1]!.out, JSON.stringify(shape));
          expectSame(results[0]!.taken, results[1]!.taken, JSON.stringify(shape));
        }
      }
    },
  );

  it.each(dtypes)(
    "affineColumns gives the reference's bytes but for f32 rounding, columnDots sums in f64, %s",
    (dtype) => {
      for (const residence of residences) {
        const make = new Operands(kernels, dtype, residence);
        for (const [rows, cols] of [
          [0, 3],
          [1, 1],
          [700, 10],
          [37, 65],
          [5, 3000],
        ] as const) {
          const [a, b] = [make.real(rows, cols), make.real(rows, cols)];
          const [alpha, beta, gamma] = [make.realVector(cols), make.realVector(cols), make.realVector(cols)];
          const results = ([kernels, referenceKernels] as const).map((k) => {
            const [all, one, moved] = [
              make.filled(rows, cols, 7),
              make.filled(rows, cols, 7),
              make.filled(rows, cols, 7),
            ];
            k.affineColumns({ a, alpha, b, beta, gamma, out: all });
            k.affineColumns({ a, b, out: one });
            k.affineColumns({ a, gamma, out: moved });
            const dots = make.vector(cols);
            k.columnDots(a, b, dots);
            return [all.data, one.data, moved.data, dots] as const;
          });
          results[0]!.forEach((found, which) => {
            // Terms are below 1: three roundings for the first three, one rounding of an f64 sum (in another order) for the dots.
            const unit = dtype === "f64" ? 2 ** -53 : 2 ** -24;
            const bound = which < 3 ? 6 * unit : 4 * unit * Math.max(1, rows);
            const expected = results[1]![which]!;
            expect(worstRatio(Array.from(found, (x, i) => [x - expected[i]!, bound] as const))).toBeLessThanOrEqual(1);
          });
        }
      }
    },
  );

  it("refuses windows of another size and operands that overlap", () => {
    const windows = { rows: 1, cols: 9, data: new Float32Array(9) };
    const shape = { ...base, batch: 1, height: 3, width: 3, channels: 1, padding: 0 };
    expect(() => kernels.gatherWindows({ shape, images: new Float32Array(8), windows })).toThrow(RangeError);
    expect(() => kernels.gatherWindows({ shape, images: windows.data, windows })).toThrow(/overlaps/);
    expect(() =>
      kernels.gatherWindows({ shape: { ...shape, padding: 1 }, images: new Float32Array(9), windows }),
    ).toThrow(/windows must be 9 x 9; got 1 x 9/);
  });
});
