import {
  arrayDataset,
  createRng,
  createRunContext,
  type FloatTensors,
  type Linearization,
  matrix,
  type Vec,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import { mlp } from "../graph/mlp.ts";
import { createNetwork, type Network } from "../network.ts";
import { denseForward } from "./dense-forward.ts";

const spec = mlp({ sizes: [8, 4, 3] });
const params = ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"];
const size = 8 * 4 + 4 + 4 * 3 + 3;
const examples = Uint32Array.of(0, 1, 2, 3, 4);
const ctx = createRunContext();
const rng = createRng("linearize");

const inputs = matrix(
  5,
  8,
  Float64Array.from({ length: 40 }, () => rng.normal()),
);
const data = arrayDataset({ inputs, labels: [0, 1, 2, 0, 1] });
const outputs = (u: Vec): FloatTensors => ({ output: { shape: [5, 3], data: u.slice() } });

function network(): Network {
  const made = createNetwork(spec, { seed: 3, dtype: "f64" });
  made.weights.get("fc1.bias")!.data.set([0.1, -0.2, 0.3, 0.05]);
  return made;
}

function random(length: number): Float64Array {
  return Float64Array.from({ length }, () => rng.normal());
}

/** The logits at weights + h x. */
function logitsAt(made: Network, x: Vec, h: number): Vec {
  const moved = new Map([...made.weights].map(([name, w]) => [name, { ...w, data: w.data.slice() }]));
  let start = 0;
  for (const name of params) {
    const { data: w } = moved.get(name)!;
    for (let i = 0; i < w.length; i++) w[i] = w[i]! + h * x[start + i]!;
    start += w.length;
  }
  return denseForward(spec, moved, inputs, ctx.kernels).logits.data;
}

const product = (J: Linearization, x: Vec): Vec => {
  const out = { output: { shape: [5, 3], data: new Float64Array(15) } };
  J.forward(x, out);
  return out.output.data;
};
const adjoint = (J: Linearization, u: Float64Array, length: number): Vec => {
  const out = new Float64Array(length);
  J.backward(outputs(u), out);
  return out;
};
const dot = (a: Vec, b: Vec): number => ctx.kernels.dot(a, b);

describe("linearize", () => {
  test("J x is the derivative of the logits along x, by central differences", async () => {
    const made = network();
    const J = await made.linearize({ params, data, examples }, ctx);
    expect(J.dim).toBe(size);
    for (let trial = 0; trial < 5; trial++) {
      const x = random(size);
      const h = 1e-6;
      const [above, below, t] = [logitsAt(made, x, h), logitsAt(made, x, -h), product(J, x)];
      // The logits are quadratic in the weights between kinks: the difference errs by rounding, eps / h.
      for (let i = 0; i < 15; i++) expect(Math.abs((above[i]! - below[i]!) / (2 * h) - t[i]!)).toBeLessThan(1e-7);
    }
  });

  test("J' is the adjoint of J", async () => {
    const J = await network().linearize({ params, data, examples }, ctx);
    const [x, u] = [random(size), random(15)];
    expect(dot(product(J, x), u)).toBeCloseTo(dot(x, adjoint(J, u, size)), 10);
  });

  test("the sum of squares is that of every example's own gradient", async () => {
    const J = await network().linearize({ params, data, examples }, ctx);
    const [u, v] = [random(15), random(15)];
    const expected = new Float64Array(size);
    for (const full of [u, v]) {
      for (let i = 0; i < 5; i++) {
        const own = new Float64Array(15);
        own.set(full.subarray(i * 3, i * 3 + 3), i * 3);
        adjoint(J, own, size).forEach((value, j) => {
          expected[j]! += value ** 2;
        });
      }
    }
    const sums = new Float64Array(size);
    J.sumOfSquares([outputs(u), outputs(v)], sums);
    sums.forEach((value, j) => {
      expect(value).toBeCloseTo(expected[j]!, 10);
    });
  });

  test("the Gram matrix of some columns is the sum over the examples' own gradients, also inside other columns", async () => {
    const J = await network().linearize({ params, data, examples }, ctx);
    const columns = Uint32Array.of(1, 5, 9, 33, 40, 50);
    const us = [random(15), random(15)];
    const expected = new Float64Array(36);
    for (const u of us) {
      for (let i = 0; i < 5; i++) {
        const own = new Float64Array(15);
        own.set(u.subarray(i * 3, i * 3 + 3), i * 3);
        const row = adjoint(J, own, size);
        columns.forEach((a, s) => {
          columns.forEach((b, t) => {
            expected[s * 6 + t]! += row[a]! * row[b]!;
          });
        });
      }
    }
    const found = matrix(6, 6, new Float64Array(36).fill(7));
    J.columnGram!(us.map(outputs), columns, found);
    const inner = J.restricted(columns);
    const part = matrix(2, 2, new Float64Array(4));
    inner.columnGram!(us.map(outputs), Uint32Array.of(1, 4), part);
    expected.forEach((value, s) => {
      expect(found.data[s]).toBeCloseTo(value, 10);
    });
    [7, 10, 25, 28].forEach((place, s) => {
      expect(part.data[s]).toBeCloseTo(expected[place]!, 10);
    });
    inner.release();
  });

  test("over some weights it is J's columns, also where only few inputs are looked at, and again inside those", async () => {
    const J = await network().linearize({ params, data, examples }, ctx);
    // Weights of inputs 1 and 5 of fc1, a bias, one weight of fc2: six of eight input columns go.
    const columns = Uint32Array.of(1, 5, 9, 13, 33, 40);
    const inner = J.restricted(columns);
    const x = random(columns.length);
    const full = new Float64Array(size);
    columns.forEach((j, s) => {
      full[j] = x[s]!;
    });
    const u = random(15);
    const whole = adjoint(J, u, size);
    product(inner, x).forEach((value, i) => {
      expect(value).toBeCloseTo(product(J, full)[i]!, 12);
    });
    adjoint(inner, u, columns.length).forEach((value, s) => {
      expect(value).toBeCloseTo(whole[columns[s]!]!, 12);
    });
    const twice = inner.restricted(Uint32Array.of(0, 4));
    adjoint(twice, u, 2).forEach((value, s) => {
      expect(value).toBeCloseTo(whole[[1, 33][s]!]!, 12);
    });
    inner.release();
    twice.release();
  });

  test("parameters that were not asked for stay fixed", async () => {
    const J = await network().linearize({ params: ["fc2.weight"], data, examples }, ctx);
    expect(J.dim).toBe(12);
    const all = await network().linearize({ params, data, examples }, ctx);
    const u = random(15);
    adjoint(J, u, 12).forEach((value, j) => {
      expect(value).toBeCloseTo(adjoint(all, u, size)[36 + j]!, 12);
    });
  });
});
