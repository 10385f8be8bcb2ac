import { arrayDataset, createRng, createRunContext, matrix } from "@secateur/core";
import { describe, expect, test } from "vitest";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { createNetwork } from "../network.ts";

const ctx = createRunContext();
/** A residual block after a convolution, as ResNets have it, and a dense end. */
const spec: NetworkSpec = {
  name: "residual",
  inputShape: [2, 5, 5],
  classes: 3,
  layers: [
    { kind: "conv2d", name: "conv1", in: 2, out: 3, kernel: [3, 3], padding: 1 },
    { kind: "relu", name: "start" },
    { kind: "conv2d", name: "conv2", in: 3, out: 3, kernel: [3, 3], padding: 1, bias: false },
    { kind: "batch-norm", name: "bn2", channels: 3 },
    { kind: "relu" },
    { kind: "conv2d", name: "conv3", in: 3, out: 3, kernel: [3, 3], padding: 1, bias: false },
    { kind: "batch-norm", name: "bn3", channels: 3 },
    { kind: "add", inputs: ["bn3", "start"] },
    { kind: "relu" },
    { kind: "global-average-pool" },
    { kind: "flatten" },
    { kind: "dense", name: "fc", in: 3, out: 3, bias: true },
    { kind: "log-softmax" },
  ],
};
const network = createNetwork(spec, { seed: 2, dtype: "f64" });
const rng = createRng("reconstruction");
// Shifts too: without them ReLUs of pruned weights would stand on their kinks.
for (const name of ["bn2.bias", "bn3.bias", "bn2.running_var", "bn3.running_var", "bn2.weight", "bn3.weight"]) {
  const { data } = network.weights.get(name)!;
  for (let i = 0; i < data.length; i++) data[i] = 0.5 + rng.next();
}
const values = Float64Array.from({ length: 4 * 50 }, () => rng.normal());
const data = arrayDataset({ inputs: matrix(4, 50, values), labels: [0, 1, 2, 0], inputShape: [2, 5, 5] });
const params = ["conv1.weight", "conv2.weight", "conv3.weight", "fc.weight"];
const target = Float64Array.from(params.flatMap((name) => [...network.weights.get(name)!.data]));
const at = target.map((w) => w * (rng.next() < 0.5 ? 0 : 1));
const startOf = (param: string): number =>
  params.slice(0, params.indexOf(param)).reduce((sum, name) => sum + network.weights.get(name)!.data.length, 0);

describe.each([
  ["conv1.weight", 0],
  ["conv1.weight", 1],
  ["conv2.weight", 1],
  ["conv3.weight", 0],
  ["conv1.weight", 9],
  ["fc.weight", 0],
] as const)("%s, %i layers beyond the next", (param, depth) => {
  const examples = Uint32Array.of(0, 1, 2, 3);
  const size = network.weights.get(param)!.data.length;
  const w = at.slice(startOf(param), startOf(param) + size);

  test("gradient and Hessian are the derivatives of the loss", async () => {
    const local = await network.reconstruction({ param, params, data, examples, depth, at, target }, ctx);
    const x = Float64Array.from({ length: size }, (_, i) => Math.sin(i + 1));
    const moved = (h: number): Float64Array => w.map((value, i) => value + h * x[i]!);
    const [slope, product, up, down] = [0, 0, 0, 0].map(() => new Float64Array(size)) as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    const h = 1e-6;
    expect(local.gradient(w, slope)).toBe(local.loss(w));
    const along = slope.reduce((sum, g, i) => sum + g * x[i]!, 0);
    // Central differences of width 1e-6 in f64; no ReLU is that near its kink.
    expect(Math.abs((local.loss(moved(h)) - local.loss(moved(-h))) / (2 * h) - along)).toBeLessThan(
      1e-6 * Math.max(1, Math.abs(along)),
    );
    local.times(w, x, product);
    local.gradient(moved(h), up);
    local.gradient(moved(-h), down);
    const scale = Math.max(...product.map(Math.abs));
    product.forEach((value, i) => {
      expect(Math.abs(value - (up[i]! - down[i]!) / (2 * h))).toBeLessThan(1e-6 * scale + 1e-9);
    });
  });

  test("nothing is lost with the weights that are wanted, everywhere before and in it", async () => {
    const local = await network.reconstruction({ param, params, data, examples, depth, at: target, target }, ctx);
    expect(local.loss(target.slice(startOf(param), startOf(param) + size))).toBe(0);
    expect(local.loss(w)).toBeGreaterThan(0);
  });
});

test("a bias is no layer", async () => {
  const request = { param: "fc.bias", params, data, examples: Uint32Array.of(0), depth: 0, at, target };
  await expect(network.reconstruction(request, ctx)).rejects.toThrow(
    /'fc.bias' is no weight of a dense or convolution/,
  );
});
