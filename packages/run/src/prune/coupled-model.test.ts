import { arrayDataset, createRng, createRunContext, type Dataset, matrix, type Vec } from "@secateur/core";
import { empiricalFisher } from "@secateur/fisher";
import { createNetwork, type NetworkSpec } from "@secateur/nn";
import { expect, test } from "vitest";
import { coupledModel } from "./coupled-model.ts";
import type { ChannelSet } from "./coupled-places.ts";

/** Two branches that are added up, each with a bias. */
const spec: NetworkSpec = {
  name: "sum",
  inputShape: [4],
  classes: 3,
  layers: [
    { kind: "dense", name: "a", in: 4, out: 3 },
    { kind: "relu", name: "r" },
    { kind: "dense", name: "b", in: 3, out: 3 },
    { kind: "add", inputs: ["r", "b"] },
    { kind: "dense", name: "c", in: 3, out: 3 },
    { kind: "log-softmax" },
  ],
};
const each = (count: number): Uint32Array[] => Array.from({ length: count }, (_, g) => Uint32Array.of(g));
const sets: readonly ChannelSet[] = [
  {
    ...{ name: "a.weight+1", count: 3 },
    members: ["a.weight", "b.weight"].map((param) => ({ param, rows: each(3) })),
    offsets: ["a.bias", "b.bias"].map((name) => ({ name, places: each(3) })),
  },
];

function examples(): Dataset {
  const rng = createRng(3);
  const inputs = matrix(
    6,
    4,
    Float64Array.from({ length: 24 }, () => rng.normal()),
  );
  return arrayDataset({ inputs, labels: [0, 1, 2, 0, 1, 2], classes: 3 });
}

const network = () => {
  const made = createNetwork(spec, { seed: 4, dtype: "f64" });
  made.weights.get("a.bias")!.data.fill(0.3);
  made.weights.get("b.bias")!.data.fill(-0.2);
  return made;
};

test("a group is one row, and where it is zero its biases are, until it comes back", async () => {
  const own = network();
  const { model } = await coupledModel(own, sets);
  expect(model.params().map(({ name, shape, flopsPerWeight }) => [name, shape, flopsPerWeight])).toEqual([
    ["a.weight+1", [3, 7], 2],
  ]);
  const whole = await model.read("a.weight+1");
  const dense = own.tensors().map(({ data }) => [...data]);
  const masked = { ...whole, data: whole.data.map((x: number, i: number) => (Math.floor(i / 7) === 1 ? 0 : x)) as Vec };
  await model.write("a.weight+1", masked);
  expect([...own.weights.get("b.weight")!.data.subarray(3, 6)]).toEqual([0, 0, 0]);
  expect([...own.weights.get("a.bias")!.data]).toEqual([0.3, 0, 0.3]);
  expect([...own.weights.get("b.bias")!.data]).toEqual([-0.2, 0, -0.2]);
  await model.write("a.weight+1", whole);
  // f32 holds what a set is read as; its numbers come back as these.
  own.tensors().forEach(({ data }, t) => {
    data.forEach((value: number, i: number) => {
      expect(value).toBeCloseTo(dense[t]![i]!, 6);
    });
  });
});

test("derivatives are those of the members, in the order of the set", async () => {
  const own = network();
  const { model } = await coupledModel(own, sets);
  const ctx = createRunContext();
  const data = examples();
  const params = ["a.weight+1"];
  const all = Uint32Array.from({ length: 6 }, (_, i) => i);
  const { gradient } = await model.meanGradient!({ params, data, examples: all }, ctx);
  const inner = await own.meanGradient({ params: ["a.weight", "b.weight"], data, examples: all }, ctx);
  // Row g of the set is row g of a (4 weights), then row g of b (3 weights).
  const expected = [0, 1, 2].flatMap((g) => [
    ...inner.gradient.slice(4 * g, 4 * g + 4),
    ...inner.gradient.slice(12 + 3 * g, 15 + 3 * g),
  ]);
  expect([...gradient]).toEqual(expected);
  const rows = await model.gradientRows!({ params, data, examples: all, batch: 1 }, ctx);
  const block = rows.blocks[0]!;
  const dense = block.kind === "dense" ? block.rows : undefined;
  for (let i = 0; i < 21; i++) {
    const mean = [0, 1, 2, 3, 4, 5].reduce((sum, r) => sum + dense!.data[r * 21 + i]!, 0) / 6;
    // Rows are kept in f32.
    expect(mean).toBeCloseTo(gradient[i]!, 6);
  }
});

test("products with the Jacobian and with its transpose are adjoint, over all weights and over some", async () => {
  const { model } = await coupledModel(network(), sets);
  const all = Uint32Array.from({ length: 6 }, (_, i) => i);
  const whole = await model.linearize!({ params: ["a.weight+1"], data: examples(), examples: all }, createRunContext());
  const rng = createRng(9);
  const [name] = Object.keys(whole.outputs) as [string];
  const size = whole.outputs[name]!.data.length;
  const shape = whole.outputs[name]!.shape;
  for (const linear of [whole, whole.restricted(Uint32Array.of(1, 5, 6, 12, 20))]) {
    const x = Float64Array.from({ length: linear.dim }, () => rng.normal());
    const u = Float64Array.from({ length: size }, () => rng.normal());
    const y = { [name]: { shape, data: new Float64Array(size) } };
    linear.forward(x, y);
    const back = new Float64Array(linear.dim);
    linear.backward({ [name]: { shape, data: u.slice() } }, back);
    const dot = (a: Vec, b: Vec): number => (a as Float64Array).reduce((sum, value, i) => sum + value * b[i]!, 0);
    // Two sums of 18 products in f64.
    expect(dot(y[name]!.data, u)).toBeCloseTo(dot(x, back), 10);
  }
  whole.release();
});

test("the curvature of a set is a principal block of the members', in its order: products, columns, norms and inverse", async () => {
  const { model, wrapEstimator } = await coupledModel(network(), sets);
  const request = { model, params: ["a.weight+1"], data: examples(), examples: 6, batch: 1, ridge: 0.1 };
  const estimate = await wrapEstimator(empiricalFisher()).estimate(request, createRunContext());
  const curvature = estimate.curvature();
  const gradients = await model.gradientRows!({ ...request, batch: 1, examples: estimateOrder() }, createRunContext());
  const rows = gradients.blocks[0]!.kind === "dense" ? gradients.blocks[0]!.rows : undefined;
  const H = (i: number, j: number): number => {
    let sum = i === j ? 0.1 : 0;
    for (let r = 0; r < 6; r++) sum += (rows!.data[r * 21 + i]! * rows!.data[r * 21 + j]!) / 6;
    return sum;
  };
  const x = Float64Array.from({ length: 21 }, (_, i) => Math.sin(i));
  const out = new Float64Array(21);
  await curvature.apply(x, out);
  const expected = Array.from({ length: 21 }, (_, i) => x.reduce((sum, value, j) => sum + H(i, j) * value, 0));
  // Rows are stored in f32.
  out.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i]!, 5);
  });
  expect(curvature.diagonal()[5]).toBeCloseTo(H(5, 5), 5);
  const support = Uint32Array.of(2, 5, 9, 20);
  const view = curvature.factor!();
  const columns = matrix(6, 4, view.dtype === "f64" ? new Float64Array(24) : new Float32Array(24));
  await view.columns!(support, columns);
  const gram = (i: number, j: number): number =>
    [0, 1, 2, 3, 4, 5].reduce((sum, r) => sum + columns.data[r * 4 + i]! * columns.data[r * 4 + j]!, 0);
  expect(gram(1, 3) / 6).toBeCloseTo(H(5, 20), 5);
  const inverse = await curvature.inverse!(support);
  const column = new Float64Array(4);
  await inverse.column(1, column);
  for (const [i, at] of support.entries()) {
    const product = column.reduce((sum, value, j) => sum + H(at, support[j]!) * value, 0);
    expect(product).toBeCloseTo(i === 1 ? 1 : 0, 4);
  }
  inverse.release();
  estimate.release();
});

/** All six examples: a sum over them does not depend on their order. */
function estimateOrder(): Uint32Array {
  return Uint32Array.from({ length: 6 }, (_, i) => i);
}
