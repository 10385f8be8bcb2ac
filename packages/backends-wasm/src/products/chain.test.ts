import { type Kernels, matrix, type PanelChain, panelWidth, referenceKernels, type Vec } from "@secateur/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createWasmKernels } from "../create-wasm-kernels.ts";

let kernels: Kernels & { close(): void | Promise<void> };
beforeAll(async () => {
  kernels = await createWasmKernels({ threads: 1 });
});
afterAll(() => kernels.close());

const classes = [0.5, 0.3, 0.2];
const one = { rows: 3, cols: 1, starts: new Uint32Array(4), columns: new Uint32Array(0) };

/** Of one panel of examples that are all alike. */
function probabilities(made: Float32ArrayConstructor | Float64ArrayConstructor): Vec {
  const out: Vec = new made(classes.length * panelWidth);
  for (let i = 0; i < out.length; i++) out[i] = classes[Math.floor(i / panelWidth)]!;
  return out;
}

test("a chain without weights, which has no dtype of its own, is taken in f32 and in f64 one after the other", () => {
  const chain: PanelChain = { count: 1, size: 0, layers: [{ pattern: one, start: 0 }] };
  for (const made of [Float32Array, Float64Array, Float32Array]) {
    const p = probabilities(made);
    const [found, wanted]: [Vec, Vec] = [new made(p.length), new made(p.length)];
    kernels.chainSquares!({ chain, probabilities: p, out: [found] });
    referenceKernels.chainSquares!({ chain, probabilities: p, out: [wanted] });
    // p (1 - p) of each class: a few roundings.
    found.forEach((value: number, i: number) => {
      expect(value).toBeCloseTo(wanted[i]!, 6);
    });
    expect(wanted[0]).toBeCloseTo(0.25, 6);
  }
});

test("squares over what they read, or over one another, are refused", () => {
  const second = { ...one, cols: 3 };
  const gate = new Float32Array(3 * panelWidth).fill(1);
  const chain: PanelChain = {
    ...{ count: 1, size: 0 },
    layers: [
      { pattern: one, start: 0 },
      { pattern: second, start: 0, gate, weights: matrix(3, 3, new Float32Array(9)) },
    ],
  };
  const p = probabilities(Float32Array);
  const fresh = (): Float32Array => new Float32Array(3 * panelWidth);
  const same = fresh();
  for (const out of [
    [gate, fresh()],
    [same, same],
    [fresh(), p],
  ]) {
    for (const { chainSquares } of [kernels, referenceKernels]) {
      expect(() => chainSquares!({ chain, probabilities: p, out })).toThrow(RangeError);
    }
  }
});
