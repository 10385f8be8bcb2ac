import {
  arrayDataset,
  asTensor,
  createRng,
  createRunContext,
  type Dataset,
  type GradientBlock,
  matrix,
  tensorDataset,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import { mlp } from "../graph/mlp.ts";
import { createNetwork, type Network } from "../network.ts";

const spec = mlp({ sizes: [5, 4, 3, 3], bias: true });
const names = ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "fc3.weight", "fc3.bias"];

function randomData(size: number, seed: number): Dataset {
  const rng = createRng(seed);
  const data = Float64Array.from({ length: size * 5 }, () => rng.normal());
  const labels = Array.from({ length: size }, () => rng.integer(3));
  return arrayDataset({ inputs: matrix(size, 5, data), labels, classes: 3 });
}

/** Random biases too, so that no pre-activation sits on the kink of ReLU. */
function randomNetwork(): Network {
  const network = createNetwork(spec, { seed: 2, dtype: "f64" });
  const rng = createRng("bias");
  for (const [name, w] of network.weights) {
    if (name.endsWith("bias")) w.data.set(w.data.map(() => 0.3 * rng.normal()));
  }
  return network;
}

/** Row r of a factored block, written out. */
function expand(block: GradientBlock, row: number): number[] {
  if (block.kind === "dense") throw new Error("expected factors");
  const { delta, input, group } = block;
  const out = new Array<number>(delta.cols * input.cols).fill(0);
  for (let i = row * group; i < (row + 1) * group; i++) {
    for (let o = 0; o < delta.cols; o++) {
      for (let c = 0; c < input.cols; c++) {
        out[o * input.cols + c]! += delta.data[i * delta.cols + o]! * input.data[i * input.cols + c]!;
      }
    }
  }
  return out;
}

describe("gradients", () => {
  const ctx = createRunContext();

  test("of every parameter agree with central finite differences in f64", async () => {
    const network = randomNetwork();
    const data = randomData(6, 1);
    const examples = Uint32Array.of(0, 1, 2, 3, 4, 5);
    const { gradient, loss } = await network.meanGradient({ params: names, data, examples }, ctx);
    expect(loss).toBeCloseTo((await network.evaluate(data, ctx)).loss, 12);
    // Central differences err by h^2 f'''/6 + eps / h: about 1e-10 at h = 1e-5.
    const h = 1e-5;
    let place = 0;
    for (const name of names) {
      const w = network.weights.get(name)!.data;
      for (let i = 0; i < w.length; i++, place++) {
        const kept = w[i]!;
        w[i] = kept + h;
        const above = (await network.evaluate(data, ctx)).loss;
        w[i] = kept - h;
        const below = (await network.evaluate(data, ctx)).loss;
        w[i] = kept;
        expect(Math.abs((above - below) / (2 * h) - gradient[place]!)).toBeLessThan(1e-8);
      }
    }
    expect(place).toBe(gradient.length);
  });

  test("rows average to the mean gradient, for single examples and for mini-batches", async () => {
    const network = randomNetwork();
    const data = randomData(6, 1);
    const examples = Uint32Array.of(5, 0, 3, 1, 4, 2);
    const mean = await network.meanGradient({ params: names, data, examples }, ctx);
    for (const batch of [1, 2, 3]) {
      const { rows, blocks, loss } = await network.gradientRows({ params: names, data, examples, batch }, ctx);
      expect(rows).toBe(6 / batch);
      expect(loss).toBeCloseTo(mean.loss, 12);
      let place = 0;
      for (const block of blocks) {
        const sums = Array.from({ length: rows }, (_, r) => expand(block, r));
        for (let j = 0; j < sums[0]!.length; j++, place++) {
          const average = sums.reduce((sum, row) => sum + row[j]!, 0) / rows;
          expect(Math.abs(average - mean.gradient[place]!)).toBeLessThan(1e-14); // rounding of six f64 terms of order 1
        }
      }
    }
  });

  test("row r of a mini-batch is the mean of the single-example rows of its examples", async () => {
    const network = randomNetwork();
    const data = randomData(4, 3);
    const request = { params: ["fc2.weight"], data, examples: Uint32Array.of(3, 1, 0, 2) };
    const single = await network.gradientRows({ ...request, batch: 1 }, ctx);
    const paired = await network.gradientRows({ ...request, batch: 2 }, ctx);
    const [a, b] = [expand(single.blocks[0]!, 2), expand(single.blocks[0]!, 3)];
    expand(paired.blocks[0]!, 1).forEach((value, j) => {
      expect(Math.abs(value - (a[j]! + b[j]!) / 2)).toBeLessThan(1e-15); // two f64 roundings below 1
    });
  });

  test("a label beyond the classes and an output that is not finite are named", async () => {
    const network = createNetwork(mlp({ sizes: [2, 2] }), { seed: 0 });
    const inputs = matrix(1, 2, Float32Array.of(1, 1));
    const wrong = tensorDataset({
      inputs: { input: asTensor(inputs) },
      targets: { labels: { shape: [1], data: Uint32Array.of(5) } },
    });
    await expect(network.evaluate(wrong, ctx)).rejects.toMatchObject({ code: "ERR_LABEL_RANGE" });
    network.weights.get("fc1.weight")!.data[0] = Number.NaN;
    const data = arrayDataset({ inputs, labels: [0], classes: 2 });
    await expect(network.evaluate(data, ctx)).rejects.toMatchObject({ code: "ERR_NOT_FINITE" });
    const request = { params: ["fc1.weight"], data, examples: Uint32Array.of(0) };
    await expect(network.meanGradient(request, ctx)).rejects.toMatchObject({ code: "ERR_NOT_FINITE" });
  });
});
