import { type Dtype, referenceKernels, type Vec } from "@secateur/core";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWasmKernels, type WasmKernels } from "../create-wasm-kernels.ts";
import { configurations, nameOf, Operands, type Residence } from "../kernels.test-support.ts";

const dtypes: readonly Dtype[] = ["f32", "f64"];
const residences: readonly Residence[] = ["inside", "outside"];

describe.each(configurations.map((options) => [nameOf(options), options] as const))("largest, %s", (_, options) => {
  let kernels: WasmKernels;
  beforeAll(async () => {
    kernels = await createWasmKernels(options);
  });
  afterAll(() => kernels.close());

  function expectReference(scores: Vec, k: number): void {
    expect(kernels.largest(scores, k), `${scores.length} choose ${k}`).toEqual(referenceKernels.largest(scores, k));
  }

  it.each(dtypes)("agrees with sorting on reals of any size, %s", (dtype) => {
    for (const residence of residences) {
      const make = new Operands(kernels, dtype, residence);
      // Up to 1024 scores are sorted, more are counted.
      for (const n of [0, 1, 2, 3, 5, 100, 1024, 1025, 16383, 16385, 40001]) {
        const scores = make.realVector(n);
        for (const share of [0, 0.001, 0.1, 0.5, 0.98, 1]) expectReference(scores, Math.floor(share * n));
      }
    }
  });

  it.each(dtypes)("gives ties to the lower index, across units, %s", (dtype) => {
    for (const residence of residences) {
      const make = new Operands(kernels, dtype, residence);
      const scores = make.wholeVector(50_000, 2);
      for (const k of [1, 9_999, 10_000, 10_500, 25_000, 49_999]) expectReference(scores, k);
      const equal = make.filled(1, 50_000, 3).data;
      expect(kernels.largest(equal, 20_000)).toEqual(Uint32Array.from({ length: 20_000 }, (_, i) => i));
    }
  });

  it.each(dtypes)("puts NaN with -Infinity and -0 with 0, %s", (dtype) => {
    const make = new Operands(kernels, dtype, "inside");
    const scores = make.vector(9);
    scores.set([Number.NaN, Number.NEGATIVE_INFINITY, -0, 0, -1, Number.NaN, Number.POSITIVE_INFINITY, 0, -0]);
    // In order: 6, then the zeros 2 3 7 8, then 4, then the lowest 0 1 5.
    expect([...kernels.largest(scores, 3)]).toEqual([2, 3, 6]);
    expect([...kernels.largest(scores, 6)]).toEqual([2, 3, 4, 6, 7, 8]);
    expect([...kernels.largest(scores, 8)]).toEqual([0, 1, 2, 3, 4, 6, 7, 8]);
    // The same among many that are lower.
    const many = make.filled(1, 2000, -2).data;
    many.set(scores);
    expect([...kernels.largest(many, 3)]).toEqual([2, 3, 6]);
    expect([...kernels.largest(many, 6)]).toEqual([2, 3, 4, 6, 7, 8]);
    const lowest = make.filled(1, 3000, Number.NaN).data;
    lowest[200] = Number.NEGATIVE_INFINITY;
    expect([...kernels.largest(lowest, 4)]).toEqual([0, 1, 2, 3]);
  });

  it.each(dtypes)("tells numbers apart that differ in their last bit, %s", (dtype) => {
    const make = new Operands(kernels, dtype, "inside");
    const scores = make.filled(1, 2000, 1).data;
    const step = dtype === "f64" ? 2 ** -52 : 2 ** -23;
    for (let i = 0; i < 2000; i++) scores[i] = 1 + ((i * 7919) % 2000) * step;
    for (const k of [1, 10, 1999]) expectReference(scores, k);
  });

  it("agrees with sorting on any numbers", () => {
    const number = fc.oneof(fc.float(), fc.constantFrom(0, -0, Number.NaN, 1, Number.NEGATIVE_INFINITY));
    fc.assert(
      fc.property(
        fc.array(number, { minLength: 1, maxLength: 60 }),
        fc.nat(),
        fc.boolean(),
        (numbers, seed, isWide) => {
          const scores = isWide ? Float64Array.from(numbers) : Float32Array.from(numbers);
          expectReference(scores, seed % (numbers.length + 1));
        },
      ),
      { seed: 3, numRuns: 150 },
    );
  });
});
