import { arrayDataset, createRng, createRunContext, type Dataset, matrix } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { mlp } from "../graph/mlp.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { createNetwork, type Network } from "../network.ts";

const ctx = createRunContext();
const all = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, i) => i);

function dataFor({ inputShape, classes }: NetworkSpec, count = 5): Dataset {
  const size = inputShape.reduce((product, extent) => product * extent, 1);
  const rng = createRng("hessian");
  const values = Float64Array.from({ length: count * size }, () => rng.normal());
  const labels = Array.from({ length: count }, (_, i) => i % classes);
  return arrayDataset({ inputs: matrix(count, size, values), labels, inputShape });
}

/** A network in f64 whose every parameter and statistic is drawn. */
function drawn(spec: NetworkSpec): Network {
  const network = createNetwork(spec, { seed: 3, dtype: "f64" });
  const rng = createRng("statistics");
  for (const [name, { data }] of network.weights) {
    if (name.endsWith(".weight") && data.length > 8) continue;
    for (let i = 0; i < data.length; i++)
      data[i] = name.endsWith("var") ? 0.5 + rng.next() : data[i]! + 0.3 * rng.normal();
  }
  return network;
}

const image: NetworkSpec = {
  name: "image",
  inputShape: [2, 6, 6],
  classes: 3,
  layers: [
    { kind: "conv2d", name: "conv1", in: 2, out: 4, kernel: [3, 3], padding: 1, bias: false },
    { kind: "batch-norm", name: "bn1", channels: 4 },
    { kind: "relu", name: "first" },
    { kind: "conv2d", name: "conv2", in: 4, out: 4, kernel: [3, 3], padding: 1, groups: 2 },
    { kind: "silu" },
    { kind: "add", name: "joined", inputs: ["conv2", "first"] },
    { kind: "max-pool", size: 2 },
    { kind: "conv2d", name: "conv3", in: 4, out: 5, kernel: [2, 2] },
    { kind: "relu" },
    { kind: "average-pool", size: 2 },
    { kind: "flatten" },
    { kind: "dense", name: "fc", in: 5, out: 3, bias: true },
    { kind: "log-softmax" },
  ],
};
const normalised: NetworkSpec = {
  name: "normalised",
  inputShape: [5],
  classes: 3,
  layers: [
    { kind: "dense", name: "fc1", in: 5, out: 6, bias: true },
    { kind: "layer-norm", name: "ln", features: 6 },
    { kind: "gelu" },
    { kind: "dense", name: "fc2", in: 6, out: 4, bias: true },
    { kind: "relu6" },
    { kind: "dense", name: "fc3", in: 4, out: 3, bias: true },
    { kind: "log-softmax" },
  ],
};

/** H v by central differences of the gradient, at two widths. */
async function byDifferences(network: Network, data: Dataset, v: Float64Array, more: object): Promise<number[]> {
  const params = network.params();
  const names = params.map(({ name }) => name);
  const moved = async (h: number): Promise<ArrayLike<number>> => {
    const copy = createNetwork(network.spec, { weights: network.tensors(), dtype: "f64" });
    let start = 0;
    for (const { name } of params) {
      const { data: w } = copy.weights.get(name)!;
      for (let i = 0; i < w.length; i++) w[i] = w[i]! + h * v[start + i]!;
      start += w.length;
    }
    return (await copy.hessianProducts({ params: names, data, examples: all(data.size), ...more }, ctx)).gradient;
  };
  const h = 1e-5;
  const [up, down] = [await moved(h), await moved(-h)];
  return Array.from(up, (value, i) => (value - down[i]!) / (2 * h));
}

describe.each<[string, NetworkSpec, object]>([
  ["dense layers", mlp({ sizes: [5, 7, 3], bias: true }), {}],
  ["scores divided by a temperature", mlp({ sizes: [5, 7, 3], bias: true }), { temperature: 3 }],
  ["convolutions, batch normalisation, silu, a residual", image, {}],
  ["layer normalisation, gelu, relu6", normalised, {}],
])("%s", (_, spec, more) => {
  test("products are the derivative of the gradient along any direction, and the Hessian is symmetric", async () => {
    const network = drawn(spec);
    const data = dataFor(spec);
    const names = network.params().map(({ name }) => name);
    const hessian = await network.hessianProducts({ params: names, data, examples: all(data.size), ...more }, ctx);
    const rng = createRng("direction");
    const [u, v] = [0, 1].map(() => Float64Array.from(hessian.gradient, () => rng.normal())) as [
      Float64Array,
      Float64Array,
    ];
    const [Hu, Hv] = [new Float64Array(u.length), new Float64Array(v.length)];
    await hessian.times(u, Hu);
    await hessian.times(v, Hv);
    const expected = await byDifferences(network, data, v, more);
    const scale = Math.max(...expected.map(Math.abs));
    // Central differences of width 1e-5 in f64: truncation 1e-10 times third derivatives, rounding 1e-16 / 1e-5.
    Hv.forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-7 * scale);
    });
    const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
    // The same sums in another order.
    expect(Math.abs(dot(u, Hv) - dot(v, Hu))).toBeLessThan(1e-11 * Math.abs(dot(u, Hv)) + 1e-12);
  });
});

test("some parameters alone give that block of the Hessian", async () => {
  const spec = mlp({ sizes: [5, 7, 3] });
  const network = drawn(spec);
  const data = dataFor(spec);
  const request = { data, examples: all(data.size) };
  const whole = await network.hessianProducts({ params: ["fc1.weight", "fc2.weight"], ...request }, ctx);
  const part = await network.hessianProducts({ params: ["fc2.weight"], ...request }, ctx);
  const v = Float64Array.from({ length: 21 }, (_, i) => Math.sin(i));
  const [found, expected] = [new Float64Array(21), new Float64Array(56)];
  await part.times(v, found);
  await whole.times(Float64Array.from([...new Float64Array(35), ...v]), expected);
  found.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[35 + i]!, 12);
  });
});

test("they may be asked at other weights, and the network is left as it is", async () => {
  const spec = mlp({ sizes: [5, 7, 3] });
  const [network, other] = [
    createNetwork(spec, { seed: 1, dtype: "f64" }),
    createNetwork(spec, { seed: 2, dtype: "f64" }),
  ];
  const data = dataFor(spec);
  const request = { params: ["fc1.weight", "fc2.weight"], data, examples: all(data.size) };
  const at = Float64Array.from(request.params.flatMap((name) => [...other.weights.get(name)!.data]));
  const before = network.tensors();
  expect((await network.hessianProducts({ ...request, at }, ctx)).gradient).toEqual(
    (await other.hessianProducts(request, ctx)).gradient,
  );
  expect(await network.synapticFlow({ params: request.params, at }, ctx)).toEqual(
    await other.synapticFlow({ params: request.params }, ctx),
  );
  expect(network.tensors()).toEqual(before);
});

describe("synaptic flow", () => {
  test("of two layers is the product of magnitudes along all paths, and what enters a layer leaves it", async () => {
    const network = createNetwork(mlp({ sizes: [3, 4, 2] }), { seed: 5 });
    const flow = await network.synapticFlow({ params: ["fc1.weight", "fc2.weight"] }, ctx);
    const [a, b] = ["fc1.weight", "fc2.weight"].map((name) =>
      Array.from(network.weights.get(name)!.data, Math.abs),
    ) as [number[], number[]];
    // R = sum over outputs k and hidden j of |b_kj| sum_i |a_ji|.
    for (let j = 0; j < 4; j++) {
      const through = b[j]! + b[4 + j]!;
      for (let i = 0; i < 3; i++) expect(flow[3 * j + i]).toBeCloseTo(through, 12);
      const into = a[3 * j]! + a[3 * j + 1]! + a[3 * j + 2]!;
      for (let k = 0; k < 2; k++) expect(flow[12 + 4 * k + j]).toBeCloseTo(into, 12);
    }
    const score = (from: number, weights: readonly number[]): number =>
      weights.reduce((sum, w, i) => sum + w * flow[from + i]!, 0);
    expect(score(0, a)).toBeCloseTo(score(12, b), 10);
  });
});
