import {
  arrayDataset,
  createPool,
  createRng,
  createRunContext,
  type FloatTensors,
  type Kernels,
  type Linearization,
  matrix,
  referenceKernels,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import { mlp } from "../graph/mlp.ts";
import { createNetwork } from "../network.ts";
import { inputPanels, sparseWeights } from "./sparse-weights.ts";

const rng = createRng("sparse weights");
const random = (length: number): Float64Array => Float64Array.from({ length }, () => rng.normal());
/** 70 examples leave a panel of six; the first two layers are large enough for panels, the third is not. */
const sizes = [200, 100, 150, 3];
const count = 70;
const network = createNetwork(mlp({ sizes }), { seed: 1, dtype: "f64" });
const data = arrayDataset({
  inputs: matrix(count, 200, random(count * 200)),
  labels: new Uint8Array(count),
  classes: 3,
});
const params = ["fc1", "fc2", "fc3"].flatMap((layer) => [`${layer}.weight`, `${layer}.bias`]);
const examples = Uint32Array.from({ length: count }, (_, i) => i);

const forward = (J: Linearization, x: Float64Array): Float64Array => {
  const out = { output: { shape: [count, 3], data: new Float64Array(3 * count) } };
  J.forward(x, out);
  return out.output.data;
};
const backward = (J: Linearization, u: Float64Array): Float64Array => {
  const out = new Float64Array(J.dim);
  J.backward({ output: { shape: [count, 3], data: u.slice() } } satisfies FloatTensors, out);
  return out;
};

describe("a dense layer over few of its weights", () => {
  test("has the products of the whole Jacobian at those weights", async () => {
    const J = await network.linearize({ params, data, examples }, createRunContext());
    // One weight in seven, a row of fc1 left empty, biases among them.
    const columns = Uint32Array.from({ length: J.dim }, (_, j) => j).filter(
      (j) => j % 7 === 3 && !(j >= 400 && j < 600),
    );
    const inner = J.restricted(columns);
    expect(inner.cost).toBeLessThan(J.cost / 4);
    const x = random(columns.length);
    const full = new Float64Array(J.dim);
    columns.forEach((j, s) => {
      full[j] = x[s]!;
    });
    const [found, expected] = [forward(inner, x), forward(J, full)];
    // Sums of up to 200 products in f64.
    found.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 9);
    });
    const u = random(3 * count);
    const [some, whole] = [backward(inner, u), backward(J, u)];
    some.forEach((value, s) => {
      expect(value).toBeCloseTo(whole[columns[s]!]!, 9);
    });
    const [squares, all] = [new Float64Array(columns.length), new Float64Array(J.dim)];
    const us = (): FloatTensors[] => [{ output: { shape: [count, 3], data: u.slice() } }];
    inner.sumOfSquares(us(), squares);
    J.sumOfSquares(us(), all);
    squares.forEach((value, s) => {
      expect(value).toBeCloseTo(all[columns[s]!]!, 8);
    });
    inner.release();
    J.release();
  });

  test("takes no panels where most weights are there, the layer is small, or the kernels have no such products", () => {
    const panels = inputPanels(matrix(count, 200, random(count * 200)), createPool(referenceKernels, "f64"));
    const every = (step: number): Uint32Array =>
      Uint32Array.from({ length: Math.floor(20_000 / step) }, (_, i) => i * step);
    const of = (columns: Uint32Array, kernels: Kernels = referenceKernels, outputs = 100) =>
      sparseWeights({ examples: count, inputs: 200, outputs, start: 0, columns, panels }, kernels);
    // One weight in seven looks at every input in turn, one in eight at 25 of them only, all of whose weights are there.
    expect(of(every(7))?.pattern.columns).toHaveLength(2857);
    expect(of(every(8))).toBeUndefined();
    expect(of(every(1))).toBeUndefined();
    expect(
      of(
        every(7).filter((j) => j < 2000),
        referenceKernels,
        10,
      ),
    ).toBeUndefined();
    const { sparseTimes: _without, ...without } = referenceKernels;
    expect(of(every(7), without)).toBeUndefined();
  });
});
