import { type Dtype, type Kernels, referenceKernels } from "@secateur/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWasmKernels, type WasmKernels } from "../create-wasm-kernels.ts";
import { configurations, copyOf, expectSame, nameOf, Operands, type Residence } from "../kernels.test-support.ts";

const dtypes: readonly Dtype[] = ["f32", "f64"];
const residences: readonly Residence[] = ["inside", "outside"];
const shapes: readonly (readonly [number, number])[] = [
  [0, 3],
  [3, 0],
  [1, 1],
  [5, 7],
  [129, 10],
  [2, 40001],
];

describe.each(configurations.map((options) => [nameOf(options), options] as const))("elementwise, %s", (_, options) => {
  let kernels: WasmKernels;
  beforeAll(async () => {
    kernels = await createWasmKernels(options);
  });
  afterAll(() => kernels.close());

  it.each(dtypes)("multiply, relu, reluBackward and scaleRows give the reference's bytes, %s", (dtype) => {
    for (const residence of residences) {
      const make = new Operands(kernels, dtype, residence);
      for (const [rows, cols] of shapes) {
        const a = make.real(rows, cols);
        const b = make.real(rows, cols);
        const scales = make.realVector(rows);
        const both = (run: (k: Kernels, out: typeof a) => void): void => {
          const out = make.filled(rows, cols, 7);
          const expected = copyOf(out);
          run(kernels, out);
          run(referenceKernels, expected);
          expectSame(out.data, expected.data, `${rows} x ${cols} ${residence} ${run}`);
        };
        both((k, out) => k.multiply(a.data, b.data, out.data));
        both((k, out) => k.relu(a.data, out.data));
        both((k, out) => k.reluBackward(a.data, b.data, out.data));
        both((k, out) => k.scaleRows(a, scales, out));
      }
    }
  });

  it.each(dtypes)("a step with momentum gives the reference's bytes, %s", (dtype) => {
    for (const residence of residences) {
      const make = new Operands(kernels, dtype, residence);
      for (const [rows, cols] of shapes) {
        const [w, velocity, gradient] = [make.real(rows, cols), make.real(rows, cols), make.real(rows, cols)];
        const [ownW, ownVelocity] = [copyOf(w), copyOf(velocity)];
        const numbers = { gradient: gradient.data, momentum: 0.9, decay: 5e-4, rate: 0.013 };
        kernels.momentumStep!({ ...numbers, w: w.data, velocity: velocity.data });
        referenceKernels.momentumStep!({ ...numbers, w: ownW.data, velocity: ownVelocity.data });
        expectSame(w.data, ownW.data, `w ${rows} x ${cols} ${residence}`);
        expectSame(velocity.data, ownVelocity.data, `velocity ${rows} x ${cols} ${residence}`);
      }
    }
  });

  it.each(dtypes)("axpy and addRow are exact on whole numbers, %s", (dtype) => {
    for (const residence of residences) {
      const make = new Operands(kernels, dtype, residence);
      for (const [rows, cols] of shapes) {
        const y = make.whole(rows, cols);
        const x = make.whole(rows, cols);
        const row = make.wholeVector(cols);
        const expected = copyOf(y);
        kernels.axpy(-3, x.data, y.data);
        referenceKernels.axpy(-3, x.data, expected.data);
        kernels.addRow(y, row);
        referenceKernels.addRow(expected, row);
        expectSame(y.data, expected.data, `${rows} x ${cols} ${residence}`);
      }
    }
  });

  it.each(dtypes)("results may overwrite the operand they are made from, %s", (dtype) => {
    for (const residence of residences) {
      const make = new Operands(kernels, dtype, residence);
      const run = (k: Kernels, a: ReturnType<Operands["real"]>, gradient: ReturnType<Operands["real"]>): void => {
        k.scaleRows(a, gradient.data.slice(0, a.rows), a);
        k.multiply(a.data, a.data, a.data);
        k.reluBackward(a.data, gradient.data, gradient.data);
        k.relu(gradient.data, gradient.data);
      };
      const [a, gradient] = [make.real(3, 50), make.real(3, 50)];
      const [expected, expectedGradient] = [copyOf(a), copyOf(gradient)];
      run(kernels, a, gradient);
      run(referenceKernels, expected, expectedGradient);
      expectSame(a.data, expected.data, residence);
      expectSame(gradient.data, expectedGradient.data, residence);
    }
  });

  it.each(dtypes)(
    "relu keeps NaN and makes -0 a 0; reluBackward passes only where the activation is positive, %s",
    (dtype) => {
      const make = new Operands(kernels, dtype, "inside");
      const x = make.vector(11);
      x.set([Number.NaN, -0, 0, -1, 2, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3, Number.NaN, -0, 5]);
      const out = make.vector(11);
      kernels.relu(x, out);
      expect([...out]).toEqual([Number.NaN, 0, 0, 0, 2, Number.POSITIVE_INFINITY, 0, 3, Number.NaN, 0, 5]);
      kernels.reluBackward(x, make.filled(1, 11, 9).data, out);
      expect([...out]).toEqual([0, 0, 0, 0, 9, 9, 0, 9, 0, 0, 9]);
    },
  );

  it.each(dtypes)("gatherColumns takes columns in any order and repeatedly, %s", (dtype) => {
    for (const residence of residences) {
      const make = new Operands(kernels, dtype, residence);
      for (const rows of [0, 1, 300]) {
        const a = make.real(rows, 1000);
        const columns = Uint32Array.from({ length: 211 }, (_, s) => (s * 617) % 1000);
        columns[3] = 999;
        columns[4] = 999;
        const out = make.filled(rows, 211, Number.NaN);
        const expected = copyOf(out);
        kernels.gatherColumns(a, columns, out);
        referenceKernels.gatherColumns(a, columns, expected);
        expectSame(out.data, expected.data, `${rows} rows`);
      }
    }
  });
});
