import { createWasmKernels } from "@secateur/backends-wasm";
import {
  arrayDataset,
  asTensor,
  type Batch,
  createRng,
  createRunContext,
  type Dataset,
  type FloatTensors,
  type GradientBlock,
  inputRows,
  matrix,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import { logitsOf, record } from "./derivatives/tape.ts";
import type { LayerSpec } from "./graph/layer-spec.ts";
import type { NetworkSpec } from "./graph/network-spec.ts";
import { createNetwork, type Network } from "./network.ts";
import { createPool } from "./pool.ts";

const ctx = createRunContext();
const size = 5;
const end: readonly LayerSpec[] = [{ kind: "flatten" }, { kind: "dense", name: "fc", in: 1, out: 3, bias: true }];

/** Networks that between them have every kind of layer and every way of a convolution; the last dense layer is fitted. */
const cases: Readonly<Record<string, readonly LayerSpec[]>> = {
  "a padded convolution with bias": [
    { kind: "conv2d", name: "c", in: 2, out: 3, kernel: [3, 3], padding: 1 },
    { kind: "silu" },
  ],
  "strides and an oblong kernel": [
    { kind: "conv2d", name: "c", in: 2, out: 3, kernel: [2, 3], stride: 2, padding: 1 },
    { kind: "gelu" },
  ],
  dilation: [
    { kind: "conv2d", name: "c", in: 2, out: 2, kernel: [2, 2], dilation: 2, padding: 1, bias: false },
    { kind: "gelu" },
    { kind: "conv2d", name: "d", in: 2, out: 2, kernel: [3, 3], dilation: 2, padding: 2 },
  ],
  "groups and a depthwise convolution": [
    { kind: "conv2d", name: "c", in: 2, out: 4, kernel: [3, 3], groups: 2, padding: 1 },
    { kind: "silu" },
    { kind: "conv2d", name: "d", in: 4, out: 4, kernel: [3, 3], groups: 4, stride: 2, padding: 1 },
    { kind: "batch-norm", name: "n", channels: 4 },
  ],
  "a convolution with batch normalisation, bias kept": [
    { kind: "conv2d", name: "c", in: 2, out: 3, kernel: [3, 3], padding: 1 },
    { kind: "batch-norm", name: "n", channels: 3 },
    { kind: "relu" },
  ],
  "batch normalisation before a convolution": [
    { kind: "batch-norm", name: "n", channels: 2, epsilon: 1e-3 },
    { kind: "relu6" },
    { kind: "conv2d", name: "c", in: 2, out: 2, kernel: [1, 1] },
  ],
  "a block with a projected shortcut": [
    { kind: "conv2d", name: "a", in: 2, out: 2, kernel: [3, 3], padding: 1, bias: false },
    { kind: "relu", name: "start" },
    { kind: "conv2d", name: "b", in: 2, out: 4, kernel: [3, 3], stride: 2, padding: 1, bias: false },
    { kind: "batch-norm", name: "bn", channels: 4 },
    { kind: "conv2d", name: "s", in: 2, out: 4, kernel: [1, 1], stride: 2, bias: false, inputs: ["start"] },
    { kind: "batch-norm", name: "sn", channels: 4 },
    { kind: "add", inputs: ["bn", "sn"] },
    { kind: "relu" },
  ],
  "a padded shortcut and the mean over positions": [
    { kind: "conv2d", name: "a", in: 2, out: 2, kernel: [3, 3], padding: 1 },
    { kind: "silu", name: "start" },
    { kind: "conv2d", name: "b", in: 2, out: 4, kernel: [3, 3], stride: 2, padding: 1 },
    { kind: "subsample-and-pad", name: "s", stride: 2, channels: 4, inputs: ["start"] },
    { kind: "add", inputs: ["s", "b"] },
    { kind: "global-average-pool" },
    { kind: "layer-norm", name: "ln", features: 4 },
  ],
  "a shortcut around dropout and ReLU": [
    { kind: "conv2d", name: "a", in: 2, out: 2, kernel: [3, 3], padding: 1 },
    { kind: "dropout", rate: 0.5 },
    { kind: "relu", name: "r" },
    { kind: "add", inputs: ["r", "a"] },
    { kind: "silu" },
  ],
  "pooling and concatenation": [
    { kind: "conv2d", name: "a", in: 2, out: 3, kernel: [3, 3], padding: 1 },
    { kind: "max-pool", size: 3, stride: 2, padding: 1, name: "m" },
    { kind: "average-pool", size: 2, stride: 2, padding: 1, inputs: ["a"], name: "p" },
    { kind: "concat", inputs: ["m", "p", "m"] },
    { kind: "dropout", rate: 0.5 },
    { kind: "conv2d", name: "b", in: 9, out: 2, kernel: [2, 2] },
  ],
};

function build(layers: readonly LayerSpec[]): NetworkSpec {
  for (let features = 1; features < 200; features++) {
    const fitted = [...layers, end[0]!, { ...(end[1] as Extract<LayerSpec, { kind: "dense" }>), in: features }];
    const spec: NetworkSpec = {
      name: "test",
      inputShape: [2, size, size],
      classes: 3,
      layers: [...fitted, { kind: "log-softmax" }],
    };
    try {
      createNetwork(spec);
      return spec;
    } catch {
      // Not yet as many features as the layers give.
    }
  }
  throw new Error("no dense layer fits");
}

function f64Data(examples: number): Dataset {
  const rng = createRng("images");
  const features = 2 * size * size;
  const data = Float64Array.from({ length: examples * features }, () => rng.normal());
  const labels = Uint32Array.from({ length: examples }, () => rng.integer(3));
  return arrayDataset({ inputs: matrix(examples, features, data), labels, classes: 3, inputShape: [2, size, size] });
}

/** Random everything, running statistics too, so that nothing is 0 or 1 by accident. */
function randomNetwork(spec: NetworkSpec): Network {
  const network = createNetwork(spec, { seed: 5, dtype: "f64" });
  const rng = createRng("tensors");
  for (const [name, w] of network.weights) {
    if (name.endsWith("running_var")) w.data.set(w.data.map(() => 0.5 + rng.next()));
    else if (!name.endsWith("weight") || w.cols === 1) w.data.set(w.data.map(() => 0.6 + 0.3 * rng.normal()));
  }
  return network;
}

/** Row r of a block, written out. */
function expand(block: GradientBlock, row: number): number[] {
  if (block.kind === "dense") return [...block.rows.data.subarray(row * block.rows.cols, (row + 1) * block.rows.cols)];
  const { delta, input, group } = block;
  const out = new Array<number>(delta.cols * input.cols).fill(0);
  for (let i = row * group; i < (row + 1) * group; i++) {
    for (let o = 0; o < delta.cols; o++) {
      for (let c = 0; c < input.cols; c++)
        out[o * input.cols + c]! += delta.data[i * delta.cols + o]! * input.data[i * input.cols + c]!;
    }
  }
  return out;
}

const worst = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]!)));

describe.each(Object.entries(cases))("%s", (_, layers) => {
  const spec = build(layers);
  const data = f64Data(6);
  const examples = Uint32Array.from({ length: 6 }, (_unused, i) => i);
  const params = createNetwork(spec)
    .params()
    .map(({ name }) => name);

  test("the gradient of the mean loss agrees with central differences", async () => {
    const network = randomNetwork(spec);
    const { gradient, loss } = await network.meanGradient({ params, data, examples }, ctx);
    expect(loss).toBeCloseTo((await network.evaluate(data, ctx)).loss, 12);
    // Central differences err by h^2 f'''/6 + eps / h, about 1e-10 at h = 1e-5.
    const h = 1e-5;
    let place = 0;
    for (const name of params) {
      const w = network.weights.get(name)!.data;
      for (let i = 0; i < w.length; i++, place++) {
        const kept = w[i]!;
        w[i] = kept + h;
        const above = (await network.evaluate(data, ctx)).loss;
        w[i] = kept - h;
        const below = (await network.evaluate(data, ctx)).loss;
        w[i] = kept;
        expect(Math.abs((above - below) / (2 * h) - gradient[place]!), `${name}[${i}]`).toBeLessThan(1e-7);
      }
    }
    expect(place).toBe(gradient.length);
  });

  test("gradient rows are the gradients of their examples, and average to the mean gradient", async () => {
    const network = randomNetwork(spec);
    const { gradient } = await network.meanGradient({ params, data, examples }, ctx);
    for (const batch of [1, 2]) {
      const { rows, blocks } = await network.gradientRows({ params, data, examples, batch }, ctx);
      const flat = Array.from({ length: rows }, (_unused, r) => blocks.flatMap((block) => expand(block, r)));
      const mean = Array.from(gradient, (_unused, j) => flat.reduce((sum, row) => sum + row[j]!, 0) / rows);
      expect(worst(mean, gradient)).toBeLessThan(1e-13); // rounding of six f64 terms of order 1
      const own = await network.meanGradient({ params, data, examples: examples.subarray(batch, 2 * batch) }, ctx);
      expect(worst(flat[1]!, own.gradient)).toBeLessThan(1e-13);
    }
  });

  test("J x is the derivative of the logits along x, J' its adjoint, the sum of squares that of single examples", async () => {
    const network = randomNetwork(spec);
    const J = await network.linearize({ params, data, examples }, ctx);
    const rng = createRng("direction");
    const x = Float64Array.from({ length: J.dim }, () => rng.normal());
    const u = Float64Array.from({ length: 18 }, () => rng.normal());
    const t = matrix(6, 3, new Float64Array(18));
    J.forward(x, { output: asTensor(t) });
    const h = 1e-6;
    const [above, below] = [moved(network, x, h), moved(network, x, -h)];
    // Third derivatives times h^2 and rounding, eps / h: both below 1e-9 of logits of order 10.
    expect(
      worst(
        Array.from(above, (a, i) => (a - below[i]!) / (2 * h)),
        t.data,
      ),
    ).toBeLessThan(1e-6);
    const adjoint = new Float64Array(J.dim);
    J.backward(output(u.slice()), adjoint);
    expect(ctx.kernels.dot(t.data, u)).toBeCloseTo(ctx.kernels.dot(x, adjoint), 9);
    const squares = new Float64Array(J.dim);
    J.sumOfSquares([output(u.slice())], squares);
    const expected = new Float64Array(J.dim);
    for (let i = 0; i < 6; i++) {
      const own = new Float64Array(18);
      own.set(u.subarray(3 * i, 3 * i + 3), 3 * i);
      const row = new Float64Array(J.dim);
      J.backward(output(own), row);
      for (let j = 0; j < row.length; j++) expected[j]! += row[j]! ** 2;
    }
    expect(worst(squares, expected)).toBeLessThan(1e-10); // rounding
    J.release();
  });

  test("in training mode the gradient agrees with central differences", () => {
    const network = randomNetwork(spec);
    const inputs = inputRows(data.batch(examples) as Batch);
    const rng = createRng("projection");
    const u = matrix(
      6,
      3,
      Float64Array.from({ length: 18 }, () => rng.normal()),
    );
    const pool = createPool(ctx.kernels, "f64");
    const run = { network: spec, weights: network.weights, input: inputs, pool, mode: "train" as const };
    // The same numbers drop the same entries every time.
    const random = () => {
      const draws = createRng("dropout");
      return { random: () => draws.next() };
    };
    const value = (): number => ctx.kernels.dot(logitsOf({ ...run, ...random() }).data, u.data);
    const sums = new Map(params.map((name) => [name, network.weights.get(name)!.data.slice().fill(0)]));
    const tape = record({ ...run, ...random() });
    tape.backward(u, { group: 100, place: (name) => ({ out: sums.get(name)!, alpha: 1, beta: 1 }) });
    const h = 1e-5;
    for (const name of params) {
      const w = network.weights.get(name)!.data;
      for (let i = 0; i < w.length; i++) {
        const kept = w[i]!;
        w[i] = kept + h;
        const above = value();
        w[i] = kept - h;
        const below = value();
        w[i] = kept;
        expect(Math.abs((above - below) / (2 * h) - sums.get(name)![i]!), `${name}[${i}]`).toBeLessThan(1e-6);
      }
    }
  });

  test("the WASM kernels give the reference's gradient to f64 rounding", async () => {
    const network = randomNetwork(spec);
    const kernels = await createWasmKernels({ threads: 2 });
    const expected = await network.meanGradient({ params, data, examples }, ctx);
    const found = await network.meanGradient({ params, data, examples }, createRunContext({ kernels }));
    expect(worst(found.gradient, expected.gradient)).toBeLessThan(1e-12);
    expect(kernels.usedBytes()).toBe(0); // every vector went back
    await kernels.close();
  });
});

const output = (data: Float64Array): FloatTensors => ({ output: { shape: [6, 3], data } });

/** The logits at weights + h x. */
function moved(network: Network, x: Float64Array, h: number): Float64Array {
  const weights = new Map([...network.weights].map(([name, w]) => [name, { ...w, data: w.data.slice() }]));
  let place = 0;
  for (const { name } of network.params()) {
    const { data } = weights.get(name)!;
    for (let i = 0; i < data.length; i++, place++) data[i] = data[i]! + h * x[place]!;
  }
  const pool = createPool(ctx.kernels, "f64");
  const inputs = inputRows(f64Data(6).batch(Uint32Array.of(0, 1, 2, 3, 4, 5)) as Batch);
  return Float64Array.from(logitsOf({ network: network.spec, weights, input: inputs, pool }).data);
}
