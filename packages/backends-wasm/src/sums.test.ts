import { type Dtype, referenceKernels } from "@secateur/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWasmKernels, type WasmKernels } from "./create-wasm-kernels.ts";
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
} from "./kernels.test-support.ts";

const dtypes: readonly Dtype[] = ["f32", "f64"];
const residences: readonly Residence[] = ["inside", "outside"];
/** Around four rows a pass, vectors, spans of 1024, chunks of 256 rows, units of 4096; long rows and tall columns; empty ones. */
const shapes: readonly (readonly [number, number])[] = [
  [1, 1],
  [0, 4],
  [4, 0],
  [5, 7],
  [3, 1027],
  [258, 33],
  [1030, 3],
  [9, 5003],
  [2, 40000],
];

describe.each(configurations.map((options) => [nameOf(options), options] as const))("sums, %s", (_, options) => {
  let kernels: WasmKernels;
  beforeAll(async () => {
    kernels = await createWasmKernels(options);
  });
  afterAll(() => kernels.close());

  it.each(dtypes)("gemv and its transpose are exact on whole numbers, %s", (dtype) => {
    for (const residence of residences) {
      const make = new Operands(kernels, dtype, residence);
      for (const [rows, cols] of shapes) {
        for (const transpose of [false, true]) {
          const a = make.whole(rows, cols);
          const x = make.wholeVector(transpose ? rows : cols);
          for (const [alpha, beta] of [
            [1, 0],
            [-2, 0.5],
          ] as const) {
            const out = make.wholeVector(transpose ? cols : rows);
            if (beta === 0) out.fill(Number.NaN);
            const expected = out.slice();
            kernels.gemv({ a, transpose, x, out, alpha, beta });
            referenceKernels.gemv({ a, transpose, x, out: expected, alpha, beta });
            expectSame(out, expected, `${rows} x ${cols} ${transpose} ${beta} ${residence}`);
          }
        }
      }
    }
  });

  it.each(dtypes)("rowDots, columnSums and dot are exact on whole numbers, %s", (dtype) => {
    for (const residence of residences) {
      const make = new Operands(kernels, dtype, residence);
      for (const [rows, cols] of shapes) {
        const a = make.whole(rows, cols);
        const b = make.whole(rows, cols);
        const where = `${rows} x ${cols} ${residence}`;
        for (const beta of [0, -0.5]) {
          const dots = make.wholeVector(rows);
          if (beta === 0) dots.fill(Number.NaN);
          const expected = dots.slice();
          kernels.rowDots(a, b, dots, beta);
          referenceKernels.rowDots(a, b, expected, beta);
          expectSame(dots, expected, where);
        }
        const sums = make.vector(cols).fill(Number.NaN);
        const expectedSums = sums.slice();
        kernels.columnSums(a, sums);
        referenceKernels.columnSums(a, expectedSums);
        expectSame(sums, expectedSums, where);
        expect(kernels.dot(a.data, b.data), where).toBe(referenceKernels.dot(a.data, b.data));
      }
    }
  });

  it("sums of f32 may be kept in f64", () => {
    const make = new Operands(kernels, "f32", "outside");
    const a = make.real(5, 300);
    const ones = make.filled(5, 300, 1);
    const [dots, sums] = [new Float64Array(5), new Float64Array(300)];
    kernels.rowDots(a, ones, dots, 0);
    kernels.columnSums(a, sums);
    const total = kernels.dot(a.data, ones.data);
    // All three add the same 1500 numbers below 1 in f64: they differ by f64 rounding, far below one of f32.
    expect(Math.abs(dots.reduce((x, y) => x + y) - total)).toBeLessThan(1500 * 1500 * roundoff("f64"));
    expect(Math.abs(sums.reduce((x, y) => x + y) - total)).toBeLessThan(1500 * 1500 * roundoff("f64"));
    expect(Math.abs(total)).toBeGreaterThan(0.1);
  });

  it("dot and rowDots keep every bit of products of f32", () => {
    // (1 + 2^-12)^2 has 25 bits, one more than f32; eleven of them cover vectors and the entries after them.
    const x = new Float32Array(11).fill(1 + 2 ** -12);
    const exact = 11 * (1 + 2 ** -12) ** 2;
    expect(kernels.dot(x, x)).toBe(exact);
    const sums = new Float64Array(1);
    kernels.rowDots({ rows: 1, cols: 11, data: x }, { rows: 1, cols: 11, data: x }, sums, 0);
    expect(sums[0]).toBe(exact);
  });

  it("dot accumulates in f64: a small term beside a large one is kept", () => {
    const a = Float32Array.of(2 ** 24, 1, -(2 ** 24), 0.5, 0);
    expect(kernels.dot(a, Float32Array.of(1, 1, 1, 1, 1))).toBe(1.5);
  });

  it.each(dtypes)("gemv rounds no worse than running sums of 1024 products may, %s", (dtype) => {
    const make = new Operands(kernels, dtype, "inside");
    const a = make.real(6, 5000);
    const x = make.realVector(5000);
    const out = make.vector(6);
    kernels.gemv({ a, x, out });
    const wide = copyOf({ ...a, data: Float64Array.from(a.data) });
    const [exact, magnitudes] = [new Float64Array(6), new Float64Array(6)];
    referenceKernels.gemv({ a: wide, x: Float64Array.from(x), out: exact });
    const absolute = { ...a, data: Float64Array.from(a.data, Math.abs) };
    referenceKernels.gemv({ a: absolute, x: Float64Array.from(x, Math.abs), out: magnitudes });
    // A span of 1024 holds 256 (f32) or 512 (f64) sums a lane; for f64 the sums over lanes and spans, and the reference, round too.
    const roundings = dtype === "f64" ? 512 + 16 + 5000 : 256 + 4;
    const unit = roundings * roundoff(dtype);
    const errors = [...out].map((value, i) => [value - at(exact, i), unit * at(magnitudes, i)] as const);
    expect(worstRatio(errors)).toBeLessThanOrEqual(1);
  });
});
