import { type Dtype, matrix, referenceKernels, type Vec } from "@secateur/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWasmKernels, type WasmKernels } from "../create-wasm-kernels.ts";
import {
  at,
  configurations,
  copyOf,
  expectSame,
  nameOf,
  Operands,
  type Residence,
  roundoff,
  worstRatio,
} from "../kernels.test-support.ts";

const flags = [false, true] as const;
const dtypes: readonly Dtype[] = ["f32", "f64"];
const residences: readonly Residence[] = ["inside", "outside"];

/** Rows, columns, length of the sum: around the tile (6 x 8), the blocks (120, 256), the units, and with nothing in them. */
const sizes: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [0, 5, 3],
  [5, 0, 3],
  [3, 5, 0],
  [5, 7, 3],
  [6, 8, 4],
  [7, 9, 5],
  [13, 10, 257],
  [11, 1, 64],
  [1, 130, 77],
  [125, 20, 256],
  [121, 65, 600],
  [40, 1030, 30],
];

describe.each(configurations.map((options) => [nameOf(options), options] as const))(
  "gemm and gram, %s",
  (_, options) => {
    let kernels: WasmKernels;
    beforeAll(async () => {
      kernels = await createWasmKernels(options);
    });
    afterAll(() => kernels.close());

    it.each(dtypes)("multiply whole numbers exactly in every transposition and size, %s", (dtype) => {
      for (const residence of residences) {
        const make = new Operands(kernels, dtype, residence);
        for (const [m, n, k] of sizes) {
          for (const transposeA of flags) {
            for (const transposeB of flags) {
              const a = transposeA ? make.whole(k, m) : make.whole(m, k);
              const b = transposeB ? make.whole(n, k) : make.whole(k, n);
              const out = make.filled(m, n, Number.NaN);
              const expected = copyOf(out);
              kernels.gemm({ a, transposeA, b, transposeB, out });
              referenceKernels.gemm({ a, transposeA, b, transposeB, out: expected });
              expectSame(out.data, expected.data, `${m} x ${n} x ${k} ${transposeA} ${transposeB} ${residence}`);
            }
          }
        }
      }
    });

    it.each(dtypes)("multiplies matrices that lie one after the other as it does each by itself, %s", (dtype) => {
      for (const residence of residences) {
        const make = new Operands(kernels, dtype, residence);
        for (const [m, n, k] of sizes) {
          const count = 5;
          const [a, b, out] = [make.real(count * m, k), make.real(count * k, n), make.filled(count * m, n, Number.NaN)];
          const expected = copyOf(out);
          kernels.gemmEach!({ count, a, b, out });
          for (let i = 0; i < count; i++) {
            const part = ({ data }: typeof a, rows: number, cols: number) =>
              matrix(rows, cols, data.subarray(i * rows * cols, (i + 1) * rows * cols));
            kernels.gemm({ a: part(a, m, k), b: part(b, k, n), out: part(expected, m, n) });
          }
          expectSame(out.data, expected.data, `${m} x ${n} x ${k} ${residence}`);
        }
        expect(() =>
          kernels.gemmEach!({ count: 2, a: make.real(3, 4), b: make.real(8, 2), out: make.real(3, 2) }),
        ).toThrow(RangeError);
      }
    });

    it.each(dtypes)("scales by alpha and adds beta times what out held, %s", (dtype) => {
      for (const residence of residences) {
        const make = new Operands(kernels, dtype, residence);
        for (const [alpha, beta] of [
          [0.5, 0],
          [-1, 1],
          [2, -0.25],
          [0, 3],
        ] as const) {
          const a = make.whole(31, 300);
          const b = make.whole(300, 19);
          const out = make.whole(31, 19);
          const expected = copyOf(out);
          kernels.gemm({ a, b, out, alpha, beta });
          referenceKernels.gemm({ a, b, out: expected, alpha, beta });
          expectSame(out.data, expected.data, `${alpha} ${beta} ${residence}`);
        }
      }
    });

    it.each(dtypes)("gram computes a a' and a'a exactly, with equal triangles, %s", (dtype) => {
      for (const residence of residences) {
        const make = new Operands(kernels, dtype, residence);
        for (const [n, k] of [
          [0, 3],
          [3, 0],
          [1, 1],
          [7, 9],
          [33, 300],
          [150, 40],
        ] as const) {
          for (const transpose of flags) {
            const a = transpose ? make.whole(k, n) : make.whole(n, k);
            const held = make.whole(n, n);
            referenceKernels.gram({ a: make.whole(n, 2), out: held });
            const expected = copyOf(held);
            kernels.gram({ a, transpose, out: held, alpha: 2, beta: -1 });
            referenceKernels.gram({ a, transpose, out: expected, alpha: 2, beta: -1 });
            expectSame(held.data, expected.data, `${n} x ${k} ${transpose} ${residence}`);
          }
        }
      }
    });

    it.each(dtypes)("gram of reals is symmetric to the last bit, %s", (dtype) => {
      const make = new Operands(kernels, dtype, "inside");
      const out = make.filled(61, 61, Number.NaN);
      kernels.gram({ a: make.real(61, 345), out });
      const mirrored = out.data.map((_, i) => at(out.data, (i % 61) * 61 + Math.floor(i / 61)));
      expectSame(out.data, mirrored as Vec, "mirrored");
    });

    it.each(dtypes)("rounds no worse than running sums of 256 products may, %s", (dtype) => {
      const make = new Operands(kernels, dtype, "inside");
      const [m, n, k] = [37, 21, 1000];
      const a = make.real(m, k);
      const b = make.real(k, n);
      const out = make.filled(m, n, 0);
      kernels.gemm({ a, b, out });
      const exact = matrix(m, n, new Float64Array(m * n));
      const magnitudes = matrix(m, n, new Float64Array(m * n));
      const wide = (mat: typeof a) => ({ ...mat, data: Float64Array.from(mat.data) });
      const absolute = (mat: typeof a) => ({ ...mat, data: Float64Array.from(mat.data, Math.abs) });
      referenceKernels.gemm({ a: wide(a), b: wide(b), out: exact });
      referenceKernels.gemm({ a: absolute(a), b: absolute(b), out: magnitudes });
      // Each product passes through at most 256 roundings within its block, 4 across blocks, one of its own and one of alpha; for
      // f64 the reference itself has up to 1000.
      const roundings = dtype === "f64" ? 262 + 1000 : 262;
      const unit = roundings * roundoff(dtype);
      const errors = [...out.data].map(
        (value, i) => [value - at(exact.data, i), unit * at(magnitudes.data, i)] as const,
      );
      expect(worstRatio(errors)).toBeLessThanOrEqual(1);
    });
  },
);
