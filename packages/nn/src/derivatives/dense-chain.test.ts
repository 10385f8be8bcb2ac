import { createWasmKernels } from "@secateur/backends-wasm";
import {
  arrayDataset,
  createRng,
  createRunContext,
  type FloatTensors,
  type Kernels,
  type Linearization,
  matrix,
  referenceKernels,
  type Vec,
  zeros,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { createNetwork } from "../network.ts";
import { squaresPay } from "./dense-chain.ts";

const rng = createRng("dense chain");
const random = (length: number): Float64Array => Float64Array.from({ length }, () => rng.normal());
/** 700 examples leave a panel of 28. */
const [count, features, classes] = [700, 60, 5];
const pixels = Float32Array.from(random(count * features));
/** The same numbers in either dtype. */
const dataOf = (dtype: "f32" | "f64") =>
  arrayDataset({
    inputs: matrix(count, features, dtype === "f32" ? pixels : Float64Array.from(pixels)),
    labels: new Uint8Array(count),
    classes,
  });
const examples = Uint32Array.from({ length: count }, (_, i) => i);
const dense = (name: string, from: number, to: number) => ({ kind: "dense", name, in: from, out: to }) as const;
const relu = { kind: "relu" } as const;
const chains = {
  "with a ReLU between": [dense("a", 60, 40), relu, dense("b", 40, 30), relu, dense("c", 30, 5)],
  "without one, with two, and with one at either end": [
    ...[relu, dense("a", 60, 40), dense("b", 40, 30), relu, relu, dense("c", 30, 5), relu],
  ],
};

/** Random probabilities of every example. */
const p = random(count * classes).map((value) => value ** 2);
for (let i = 0; i < p.length; i += classes) {
  const sum = p.subarray(i, i + classes).reduce((a, b) => a + b);
  for (let c = i; c < i + classes; c++) p[c]! /= sum;
}
const softmax = { output: "output", probabilities: p };

const tensors = (values: Vec): FloatTensors => ({ output: { shape: [count, classes], data: values } });

/** J x, J'u and J'BJ x at some columns, by the products of the whole Jacobian. */
function expected(J: Linearization, columns: Uint32Array, { x, u }: { x: Vec; u: Vec }) {
  const full = new Float64Array(J.dim);
  columns.forEach((j, s) => {
    full[j] = x[s]!;
  });
  const [t, back, gram] = [new Float64Array(u.length), new Float64Array(J.dim), new Float64Array(J.dim)];
  J.forward(full, tensors(t));
  J.backward(tensors(Float64Array.from(u)), back);
  const bent = t.map((value, i) => {
    const start = i - (i % classes);
    let mean = 0;
    for (let c = start; c < start + classes; c++) mean += p[c]! * t[c]!;
    return p[i]! * (value - mean);
  });
  J.backward(tensors(bent), gram);
  return {
    t,
    back: Float64Array.from(columns, (j) => back[j]!),
    gram: Float64Array.from(columns, (j) => gram[j]!),
  };
}

const close = (found: Vec, wanted: Vec, digits: number): void => {
  const scale = Math.max(...wanted.map(Math.abs));
  found.forEach((value: number, i: number) => {
    expect(value / scale).toBeCloseTo(wanted[i]! / scale, digits);
  });
};

describe.each(Object.entries(chains))("a chain of dense layers %s, over few of its weights", (_, layers) => {
  const spec = { name: "chain", inputShape: [features], classes, layers } as unknown as NetworkSpec;
  const params = ["c.weight", "a.weight"];
  const linearize = (kernels: Kernels, dtype: "f32" | "f64") =>
    createNetwork(spec, { seed: 1, dtype }).linearize(
      { params, data: dataOf(dtype), examples },
      createRunContext({ kernels }),
    );

  test("has the products of the whole Jacobian at those weights, one layer not asked for", async () => {
    const J = await linearize(referenceKernels, "f64");
    const columns = Uint32Array.from({ length: J.dim }, (_, j) => j).filter((j) => j % 7 === 3);
    const inner = J.restricted(columns);
    // What says that the products below are those of the chain.
    expect(inner.softmaxGram).toBeDefined();
    const [x, u] = [random(columns.length), random(count * classes)];
    const { t, back, gram } = expected(J, columns, { x, u });
    const [forward, backward, product] = [random(t.length), random(x.length), random(x.length)];
    inner.forward(x, tensors(forward));
    inner.backward(tensors(u.slice()), backward);
    inner.softmaxGram!(softmax, x, product);
    // Sums of some thousand products in f64.
    close(forward, t, 12);
    close(backward, back, 12);
    close(product, gram, 12);
    inner.release();
    J.release();
  });

  test("has the squares for the columns of the root, of all weights and of those", async () => {
    const J = await linearize(referenceKernels, "f64");
    const roots = Array.from({ length: classes }, (_, c) =>
      tensors(p.map((value, i) => Math.sqrt(p[i - (i % classes) + c]!) * (Number(i % classes === c) - value))),
    );
    const [wanted, found] = [new Float64Array(J.dim), new Float64Array(J.dim)];
    J.sumOfSquares(roots, wanted);
    J.softmaxSquares!(softmax, found);
    close(found, wanted, 12);
    const columns = Uint32Array.of(5, 6, 100, J.dim - 1);
    const some = new Float64Array(4);
    J.restricted(columns).softmaxSquares!(softmax, some);
    expect(some).toEqual(Float64Array.from(columns, (j) => found[j]!));
    J.release();
  });

  test("gives in f32 the same bytes for 1, 2 and 4 threads, and rounds what f64 gives", async () => {
    const exact = await linearize(referenceKernels, "f64");
    const columns = Uint32Array.from({ length: exact.dim }, (_, j) => j).filter((j) => j % 7 === 3);
    const [x, u] = [Float32Array.from(random(columns.length)), Float32Array.from(random(count * classes))];
    const { t, back, gram } = expected(exact, columns, { x, u });
    const diagonal = new Float64Array(exact.dim);
    exact.softmaxSquares!(softmax, diagonal);
    const found = await Promise.all(
      [1, 2, 4].map(async (threads) => {
        const kernels = await createWasmKernels({ threads });
        const J = await linearize(kernels, "f32");
        const inner = J.restricted(columns);
        const [forward, backward, product] = [zeros(u.length, "f32"), zeros(x.length, "f32"), zeros(x.length, "f32")];
        inner.forward(x, tensors(forward));
        inner.backward(tensors(u.slice()), backward);
        inner.softmaxGram!(softmax, x, product);
        const squares = zeros(J.dim, "f32");
        J.softmaxSquares!(softmax, squares);
        J.release();
        await kernels.close();
        return { forward, backward, product, squares };
      }),
    );
    expect(found[1]).toEqual(found[0]);
    expect(found[2]).toEqual(found[0]);
    // Sums of f32 products over 700 examples, beside the largest of them.
    close(found[0]!.product, gram, 4);
    close(found[0]!.forward, t, 4);
    close(found[0]!.backward, back, 4);
    close(found[0]!.squares, diagonal, 4);
    exact.release();
  });
});

test.each(["reference", "wasm"])(
  "%s: confident examples keep their curvature in f32, whatever all classes share",
  async (name) => {
    const kernels = name === "wasm" ? await createWasmKernels({ threads: 1 }) : referenceKernels;
    const [k, lanes] = [4, 32];
    // Input i is 1 in lane i and 0 in the others: entry (c, i) is the tangent of class c in lane i, and where its product comes back.
    const inputs = Float32Array.from({ length: lanes ** 2 }, (_, i) => Number(i % (lanes + 1) === 0));
    const starts = Uint32Array.from({ length: k + 1 }, (_, c) => c * lanes);
    const columns = Uint32Array.from({ length: k * lanes }, (_, e) => e % lanes);
    const pattern = { rows: k, cols: lanes, starts, columns };
    const chain = { count: 1, size: k * lanes, layers: [{ inputs, pattern, start: 0 }] };
    const t = [0.5, -0.25, 0.125, -1];
    const x = Float32Array.from({ length: k * lanes }, (_, e) => 8 + t[Math.floor(e / lanes)]!);
    for (const doubt of [1e-3, 1e-6, 1e-9]) {
      const one = [1 - doubt, doubt / 2, doubt / 4, doubt / 4];
      // The likeliest class is another one from lane to lane.
      const ofLane = (lane: number): readonly number[] => t.map((_, c) => one[(c + lane) % k]!);
      const probabilities = Float32Array.from(
        { length: k * lanes },
        (_, e) => ofLane(e % lanes)[Math.floor(e / lanes)]!,
      );
      const out = new Float32Array(k * lanes);
      kernels.chainGram!({ chain, x, probabilities, out });
      const squares = [new Float32Array(k * lanes)];
      kernels.chainSquares!({ chain, probabilities, out: squares });
      for (let lane = 0; lane < lanes; lane++) {
        const own = ofLane(lane);
        const beside = t.map((value) => value - t[own.indexOf(one[0]!)]!);
        const mean = beside.reduce((sum, value, c) => sum + own[c]! * value, 0);
        for (const [c, value] of beside.entries()) {
          // Tangents are exact; probabilities, products and sums of four are rounded, each by 2^-24 at most.
          expect(out[c * lanes + lane]! / (own[c]! * (value - mean))).toBeCloseTo(1, 5);
          const others = own.reduce((sum, p, other) => (other === c ? sum : sum + p), 0);
          expect(squares[0]![c * lanes + lane]! / (own[c]! * others)).toBeCloseTo(1, 5);
        }
      }
    }
    if ("close" in kernels) await (kernels as { close(): Promise<void> }).close();
  },
);

test("squares are taken by panels up to 128 outputs of all layers, beyond where deltas go through few weights, never beyond 1,024", async () => {
  const panels = { count: 0, size: 0, data: () => new Float32Array(0) };
  /** Layers from width to width; of each how many of its weights are not 0, the rest of the list all. */
  const pays = (widths: readonly number[], alive: readonly number[] = []): boolean =>
    squaresPay(
      widths.slice(1).map((rows, l) => {
        const W = matrix(rows, widths[l]!, new Float32Array(rows * widths[l]!).fill(1, 0, alive[l]));
        return { W, weightStart: -1, panels };
      }),
    );
  expect(pays([784, 100, 18, 10])).toBe(true);
  expect(pays([784, 100, 19, 10])).toBe(false);
  expect(pays([784, 300, 100, 10])).toBe(false);
  // 31,000 weights that deltas go through: half of them and one more, wherever they lie, those of the first layer apart.
  expect(pays([784, 300, 100, 10], [784 * 300, 15_000, 500])).toBe(true);
  expect(pays([784, 300, 100, 10], [784 * 300, 15_000, 501])).toBe(false);
  expect(pays([784, 300, 100, 10], [0, 15_000, 501])).toBe(false);
  expect(pays([8, 1000, 14, 10], [8000, 0, 0])).toBe(true);
  expect(pays([8, 1000, 15, 10], [8000, 0, 0])).toBe(false);

  const squaresOf = async (hidden: number) => {
    const layers = [dense("a", 60, hidden), relu, dense("b", hidden, 5)];
    const spec = { name: "squares", inputShape: [features], classes, layers } as unknown as NetworkSpec;
    const data = dataOf("f64");
    const network = createNetwork(spec, { seed: 1, dtype: "f64" });
    return (await network.linearize({ params: ["a.weight"], data, examples }, createRunContext())).softmaxSquares;
  };
  expect(await squaresOf(123)).toBeDefined();
  expect(await squaresOf(124)).toBeUndefined();
});

test("a chain is for few weights alone, none of them biases, and kernels that have such products", async () => {
  const spec = { name: "chain", inputShape: [features], classes, layers: chains["with a ReLU between"] };
  const network = createNetwork(spec as unknown as NetworkSpec, { seed: 1, dtype: "f64" });
  const params = ["a.weight", "a.bias", "b.weight", "c.weight"];
  const of = async (keep: (j: number) => boolean, kernels: Kernels = referenceKernels) => {
    const J = await network.linearize({ params, data: dataOf("f64"), examples }, createRunContext({ kernels }));
    return J.restricted(Uint32Array.from({ length: J.dim }, (_, j) => j).filter(keep)).softmaxGram !== undefined;
  };
  const isBias = (j: number): boolean => j >= 2400 && j < 2440;
  expect(await of((j) => j % 7 === 0 && !isBias(j))).toBe(true);
  expect(await of((j) => j % 7 === 0)).toBe(false);
  expect(await of((j) => !isBias(j))).toBe(false);
  const { chainGram: _without, ...without } = referenceKernels;
  expect(await of((j) => j % 7 === 0 && !isBias(j), without)).toBe(false);
});
