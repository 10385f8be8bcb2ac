import { type Dtype, referenceKernels } from "@secateur/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWasmKernels, type WasmKernels } from "../create-wasm-kernels.ts";
import {
  at,
  configurations,
  copyOf,
  nameOf,
  Operands,
  type Residence,
  roundoff,
  worstRatio,
} from "../kernels.test-support.ts";

const dtypes: readonly Dtype[] = ["f32", "f64"];
const residences: readonly Residence[] = ["inside", "outside"];

describe.each(configurations.map((options) => [nameOf(options), options] as const))(
  "softmaxCrossEntropy, %s",
  (_, options) => {
    let kernels: WasmKernels;
    beforeAll(async () => {
      kernels = await createWasmKernels(options);
    });
    afterAll(() => kernels.close());

    it.each(dtypes)("agrees with the reference to the rounding of exp and log, %s", (dtype) => {
      for (const residence of residences) {
        const make = new Operands(kernels, dtype, residence);
        for (const [rows, cols] of [
          [0, 4],
          [1, 1],
          [37, 10],
          [700, 13],
          // Wider than the exponentials that scratch keeps; a row of f64 would not fit the tiny memory.
          ...(dtype === "f32" ? [[2, 33_000] as const] : []),
        ] as const) {
          const logits = make.whole(rows, cols, 20);
          const labels = Uint32Array.from({ length: rows }, (_, i) => (i * 7) % cols);
          const [loss, expectedLoss] = [new Float64Array(rows), new Float64Array(rows)];
          const delta = make.filled(rows, cols, Number.NaN);
          const expectedDelta = copyOf(delta);
          const total = kernels.softmaxCrossEntropy({ logits, labels, loss, delta });
          const spec = { logits, labels, loss: expectedLoss, delta: expectedDelta };
          const expectedTotal = referenceKernels.softmaxCrossEntropy(spec);
          // exp and log are each within one unit in the last place of the host's; losses reach 40 + log(cols).
          const lossBound = 100 * roundoff("f64");
          expect(
            worstRatio([...loss].map((value, i) => [value - at(expectedLoss, i), lossBound] as const)),
          ).toBeLessThan(1);
          expect(Math.abs(total - expectedTotal)).toBeLessThanOrEqual(rows * lossBound * 40);
          // Probabilities below 1, equal to a few units of f64 before they are rounded to dtype.
          const deltaBound = 2 * roundoff(dtype) + 8 * roundoff("f64");
          const errors = [...delta.data].map((value, i) => [value - at(expectedDelta.data, i), deltaBound] as const);
          expect(worstRatio(errors)).toBeLessThanOrEqual(1);
          expect(total).toBe(loss.reduce((sum, value) => sum + value, 0));
        }
      }
    });

    it("is stable for large logits and may overwrite them with their gradient", () => {
      for (const residence of residences) {
        const logits = new Operands(kernels, "f32", residence).filled(2, 3, 0);
        logits.data.set([1e30, 0, -1e30, -1e4, -1e4, -1e4]);
        const loss = new Float64Array(2);
        const total = kernels.softmaxCrossEntropy({ logits, labels: Uint32Array.of(0, 1), loss, delta: logits });
        expect(loss[0]).toBe(0);
        expect(loss[1]).toBeCloseTo(Math.log(3), 14); // three equal logits
        expect(total).toBe((loss[0] as number) + (loss[1] as number));
        expect([...logits.data.slice(0, 3)]).toEqual([0, 0, 0]);
        expect([...logits.data.slice(3)]).toEqual([1 / 3, -2 / 3, 1 / 3].map(Math.fround));
      }
    });

    it("gradients sum to 0 over each row and match central differences of the loss", () => {
      const make = new Operands(kernels, "f64", "outside");
      const logits = make.real(3, 5);
      const labels = Uint32Array.of(4, 0, 2);
      const delta = make.filled(3, 5, 0);
      const loss = new Float64Array(3);
      kernels.softmaxCrossEntropy({ logits, labels, loss, delta });
      const step = 1e-5;
      for (let i = 0; i < 15; i++) {
        const lossAt = (change: number): number => {
          const moved = copyOf(logits);
          moved.data[i] = (moved.data[i] as number) + change;
          return kernels.softmaxCrossEntropy({ logits: moved, labels, loss });
        };
        const slope = (lossAt(step) - lossAt(-step)) / (2 * step);
        // Truncation is step^2 / 6 times a third derivative below 1; rounding of a loss near 5 over 2e-5 is below 1e-10.
        expect(Math.abs(slope - (delta.data[i] as number))).toBeLessThan(2e-10);
      }
      for (let r = 0; r < 3; r++) {
        const sum = [...delta.data.subarray(r * 5, r * 5 + 5)].reduce((x, y) => x + y);
        expect(Math.abs(sum)).toBeLessThan(10 * roundoff("f64"));
      }
    });
  },
);
