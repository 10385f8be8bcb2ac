import { arrayDataset, createRng, createRunContext, matrix } from "@secateur/core";
import { createNetwork, mlp } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import { hessianProduct } from "./exact-hessian.test-support.ts";
import { gaussNewton } from "./gauss-newton.ts";
import { empiricalFisher } from "./rows/empirical-fisher.ts";

const rng = createRng("exact Hessian");
const count = 12;

async function setUp(widths: readonly number[]) {
  const network = createNetwork(mlp({ sizes: widths, bias: false }), { seed: 4 });
  const x = Array.from({ length: count }, () => Array.from({ length: widths[0]! }, () => Math.fround(rng.normal())));
  const labels = x.map((_, i) => i % widths[widths.length - 1]!);
  const data = arrayDataset({ inputs: matrix(count, widths[0]!, Float32Array.from(x.flat())), labels });
  const params = network.params().map(({ name }) => name);
  const weights = Float64Array.from(params.flatMap((name) => [...network.weights.get(name)!.data]));
  const request = { model: network, data, params, examples: count, ridge: 0, firstOrder: true };
  return { request, weights, oracle: (v: Float64Array) => hessianProduct({ widths, weights }, { x, labels }, v) };
}

function random(length: number): Float64Array {
  return Float64Array.from({ length }, () => rng.normal());
}

test("the oracle's products are central differences of its gradient", async () => {
  const { weights, oracle } = await setUp([5, 4, 3]);
  const v = random(weights.length);
  const { product } = oracle(v);
  const h = 1e-5;
  const gradientAt = (sign: number): Float64Array => {
    const before = weights.slice();
    for (let j = 0; j < v.length; j++) weights[j] = weights[j]! + sign * h * v[j]!;
    const { gradient } = oracle(v);
    weights.set(before);
    return gradient;
  };
  const [up, down] = [gradientAt(1), gradientAt(-1)];
  // h^2 of truncation and 1e-16 / h of rounding; no ReLU changes sign within h.
  product.forEach((value, j) => {
    expect(Math.abs(value - (up[j]! - down[j]!) / (2 * h))).toBeLessThan(1e-8);
  });
});

describe("Gauss-Newton against the exact Hessian", () => {
  test("is the Hessian of a network of one layer", async () => {
    const { request, weights, oracle } = await setUp([5, 3]);
    const estimate = await gaussNewton().estimate(request, createRunContext());
    const v = random(weights.length);
    const found = new Float64Array(v.length);
    await estimate.curvature().apply(v, found);
    // Forward and backward passes are in f32.
    oracle(v).product.forEach((value, j) => {
      expect(Math.abs(found[j]! - value)).toBeLessThan(1e-5);
    });
  });

  test("has its diagonal blocks, layer by layer, and its diagonal, in a ReLU network", async () => {
    const { request, weights, oracle } = await setUp([5, 4, 3]);
    const estimate = await gaussNewton().estimate(request, createRunContext());
    const diagonal = estimate.curvature().diagonal();
    const first = 5 * 4;
    for (const [start, end] of [
      [0, first],
      [first, weights.length],
    ] as const) {
      const v = random(weights.length).map((value, j) => (j >= start && j < end ? value : 0));
      const found = new Float64Array(v.length);
      await estimate.curvature().apply(v, found);
      const { product } = oracle(v);
      for (let j = start; j < end; j++) expect(Math.abs(found[j]! - product[j]!)).toBeLessThan(1e-5);
    }
    for (let j = 0; j < weights.length; j++) {
      const unit = new Float64Array(weights.length);
      unit[j] = 1;
      expect(Math.abs(diagonal[j]! - oracle(unit).product[j]!)).toBeLessThan(1e-5);
    }
  });
});

test("the empirical Fisher's first-order term is the exact gradient", async () => {
  const { request, weights, oracle } = await setUp([5, 4, 3]);
  const { gradient } = await empiricalFisher().estimate(request, createRunContext());
  const { gradient: exact } = oracle(new Float64Array(weights.length));
  exact.forEach((value, j) => {
    expect(Math.abs(gradient!.data[j]! - value)).toBeLessThan(1e-6);
  });
});
