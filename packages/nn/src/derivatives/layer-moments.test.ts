import {
  arrayDataset,
  createRng,
  createRunContext,
  type Dataset,
  distillation,
  inputRows,
  type Mat,
  type Moments,
  matrix,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import type { LayerSpec } from "../graph/layer-spec.ts";
import { createNetwork, type Network } from "../network.ts";

const ctx = createRunContext();
const rng = createRng("moments");
const normals = (length: number): Float64Array => Float64Array.from({ length }, () => rng.normal());
const [classes, height, width] = [3, 3, 4];

function imagesOf(size: number, channels: number): Dataset {
  const inputs = matrix(size, channels * height * width, normals(size * channels * height * width));
  const labels = Uint32Array.from({ length: size }, (_, i) => i % classes);
  return arrayDataset({ inputs, labels, inputShape: [channels, height, width], classes });
}

function networkOf(layers: readonly LayerSpec[], channels: number): Network {
  const spec = { name: "small", inputShape: [channels, height, width], classes, layers };
  const network = createNetwork(spec, { seed: 1, dtype: "f64" });
  for (const [name, { data }] of network.weights) {
    for (let j = 0; j < data.length; j++) {
      if (name.endsWith("running_var")) data[j] = 0.5 + rng.next();
      else if (!name.endsWith(".weight") || name.startsWith("bn")) data[j] = 0.7 * rng.normal() + 0.2;
    }
  }
  return network;
}

function momentsOf(network: Network, data: Dataset, overrides: object = {}): Promise<Moments> {
  const params = network
    .params()
    .filter(({ prunable }) => prunable)
    .map(({ name }) => name);
  const examples = Uint32Array.from({ length: data.size }, (_, i) => i);
  return network.layerMoments(
    { params, data, examples, temperature: 1, gradient: false, centred: true, ...overrides },
    ctx,
  );
}

/** B (x) A with rows and columns in the order of the canonical weights [out, in]. */
function kronecker(B: Mat, A: Mat): Mat {
  const size = A.rows * B.rows;
  return matrix(
    size,
    size,
    Float64Array.from({ length: size * size }, (_, e) => {
      const [i, j] = [Math.floor(e / size), e % size];
      const outs = Math.floor(i / A.rows) * B.cols + Math.floor(j / A.rows);
      return B.data[outs]! * A.data[(i % A.rows) * A.cols + (j % A.rows)]!;
    }),
  );
}

const gap = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));
};

// f64 numbers of order 1 to 10 over a few dozen terms.
const tolerance = 1e-11;

const wholeImage = { kernel: [height, width] as const, padding: 0 };

describe("the moments of one example that a layer sees once", () => {
  test.each([1, 2])("are the outer square of its gradient for one of the labels, with %i group(s)", async (groups) => {
    const layers: LayerSpec[] = [
      { kind: "conv2d", name: "conv", in: 2, out: 4, groups, ...wholeImage },
      { kind: "relu" },
      { kind: "flatten" },
      { kind: "dense", name: "fc", in: 4, out: classes, bias: true },
    ];
    const network = networkOf(layers, 2);
    const data = imagesOf(1, 2);
    const { layers: moments } = await momentsOf(network, data);
    const inputs = inputRows(await data.batch(Uint32Array.of(0)));
    for (const param of ["conv.weight", "fc.weight"]) {
      const parts = moments.filter((entry) => entry.param === param);
      expect(parts.length).toBe(param === "conv.weight" ? groups : 1);
      const gaps: number[] = [];
      for (let label = 0; label < classes; label++) {
        const labelled = arrayDataset({
          inputs,
          labels: Uint32Array.of(label),
          inputShape: [2, height, width],
          classes,
        });
        const request = { params: [param], data: labelled, examples: Uint32Array.of(0) };
        const { gradient } = await network.meanGradient(request, ctx);
        const cols = network.weights.get(param)!.cols;
        gaps.push(
          Math.max(
            ...parts.map(({ firstRow, inputs: A, deltas: B }) => {
              expect(A.rows).toBe(cols);
              const row = gradient.subarray(firstRow * cols, (firstRow + B.rows) * cols);
              const square = Float64Array.from({ length: row.length ** 2 }, (_, e) => {
                return row[Math.floor(e / row.length)]! * row[e % row.length]!;
              });
              return gap(kronecker(B, A).data, square);
            }),
          ),
        );
      }
      expect(Math.min(...gaps)).toBeLessThan(tolerance);
    }
  });
});

test("windows with stride, padding and dilation give the moments that the sum over positions defines", async () => {
  const geometry = { kernel: [2, 3] as const, stride: 2, padding: 1, dilation: 1 };
  const layers: LayerSpec[] = [
    { kind: "conv2d", name: "conv", in: 2, out: 2, ...geometry },
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: 2, out: classes, bias: true },
  ];
  const data = imagesOf(5, 2);
  const { layers: moments } = await momentsOf(networkOf(layers, 2), data);
  const inputs = inputRows(await data.batch(Uint32Array.from({ length: 5 }, (_, i) => i)));
  const size = 2 * 2 * 3;
  const expected = new Float64Array(size * size);
  for (let n = 0; n < 5; n++) {
    for (let oy = 0; oy * 2 + 1 <= height + 1; oy++) {
      for (let ox = 0; ox * 2 + 2 <= width + 1; ox++) {
        const window = Float64Array.from({ length: size }, (_, i) => {
          const [c, ky, kx] = [Math.floor(i / 6), Math.floor((i % 6) / 3), i % 3];
          const [y, x] = [oy * 2 + ky - 1, ox * 2 + kx - 1];
          return y < 0 || y >= height || x < 0 || x >= width ? 0 : inputs.data[n * 24 + (c * height + y) * width + x]!;
        });
        for (let e = 0; e < expected.length; e++)
          expected[e]! += (window[Math.floor(e / size)]! * window[e % size]!) / 5;
      }
    }
  }
  expect(gap(moments[0]!.inputs.data, expected)).toBeLessThan(tolerance);
});

test("before a batch normalisation inputs are less their mean, and slopes carry its scale", async () => {
  const conv: LayerSpec = { kind: "conv2d", name: "conv", in: 1, out: 2, kernel: [2, 2], bias: true };
  const rest: LayerSpec[] = [
    { kind: "relu" },
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: 2, out: classes, bias: true },
  ];
  const normed = networkOf([conv, { kind: "batch-norm", name: "bn", channels: 2 }, ...rest], 1);
  // The same function without the normalisation: its scale and shift in the convolution.
  const plain = networkOf([conv, ...rest], 1);
  const get = (name: string): Float64Array | Float32Array => normed.weights.get(name)!.data;
  const scale = Array.from({ length: 2 }, (_, o) => get("bn.weight")[o]! / Math.sqrt(get("bn.running_var")[o]! + 1e-5));
  for (let o = 0; o < 2; o++) {
    for (let i = 0; i < 4; i++)
      plain.weights.get("conv.weight")!.data[o * 4 + i] = scale[o]! * get("conv.weight")[o * 4 + i]!;
    plain.weights.get("conv.bias")!.data[o] =
      get("bn.bias")[o]! + scale[o]! * (get("conv.bias")[o]! - get("bn.running_mean")[o]!);
  }
  for (const name of ["fc.weight", "fc.bias"]) plain.weights.get(name)!.data.set(get(name));
  const data = imagesOf(6, 1);
  const [found, reference] = [await momentsOf(normed, data), await momentsOf(plain, data)];
  const [a, b] = [found.layers[0]!, reference.layers[0]!];
  const scaled = b.deltas.data.map((value, e) => value * scale[Math.floor(e / 2)]! * scale[e % 2]!);
  expect(gap(a.deltas.data, scaled)).toBeLessThan(tolerance);
  // Less the mean, every row of A goes with windows that sum to zero: 6 positions of 6 examples.
  const inputs = inputRows(await data.batch(Uint32Array.from({ length: 6 }, (_, i) => i)));
  const mean = new Float64Array(4);
  for (let n = 0; n < 6; n++) {
    for (let y = 0; y < 2; y++) {
      for (let x = 0; x < 3; x++) {
        for (let i = 0; i < 4; i++) {
          mean[i]! += inputs.data[n * 12 + (y + Math.floor(i / 2)) * width + x + (i % 2)]! / 36;
        }
      }
    }
  }
  const centred = b.inputs.data.map((value, e) => value - 6 * mean[Math.floor(e / 4)]! * mean[e % 4]!);
  expect(gap(a.inputs.data, centred)).toBeLessThan(tolerance);
  const whole = await momentsOf(normed, data, { centred: false });
  expect(gap(whole.layers[0]!.inputs.data, b.inputs.data)).toBeLessThan(tolerance);
});

describe("the loss's side", () => {
  const layers: LayerSpec[] = [
    { kind: "flatten" },
    { kind: "dense", name: "fc", in: height * width, out: classes, bias: true },
  ];

  test("labels are drawn from softmax(logits / temperature): slopes have the covariance diag(p) - p p'", async () => {
    const network = networkOf(layers, 1);
    const one = inputRows(await imagesOf(1, 1).batch(Uint32Array.of(0)));
    const [count, temperature] = [20_000, 3];
    const inputs = matrix(
      count,
      one.cols,
      Float64Array.from({ length: count * one.cols }, (_, i) => one.data[i % one.cols]!),
    );
    const data = arrayDataset({ inputs, labels: new Uint32Array(count), inputShape: [1, height, width], classes });
    const { layers: moments } = await momentsOf(network, data, { temperature });
    const { data: w } = network.weights.get("fc.weight")!;
    const { data: bias } = network.weights.get("fc.bias")!;
    const powers = Array.from({ length: classes }, (_, c) => {
      let z = bias[c]!;
      for (let i = 0; i < one.cols; i++) z += w[c * one.cols + i]! * one.data[i]!;
      return Math.exp(z / temperature);
    });
    const sum = powers.reduce((total, power) => total + power, 0);
    const p = powers.map((power) => power / sum);
    const expected = Float64Array.from({ length: classes ** 2 }, (_, e) => {
      const [c, d] = [Math.floor(e / classes), e % classes];
      return (c === d ? p[c]! : 0) - p[c]! * p[d]!;
    });
    // The mean of 20,000 draws of numbers below 1: five standard deviations are 0.035 / 2.
    expect(gap(moments[0]!.deltas.data, expected)).toBeLessThan(0.018);
  });

  test("with labels the gradient is that of the cross-entropy", async () => {
    const network = networkOf(layers, 1);
    const data = imagesOf(7, 1);
    const { gradient, loss } = await momentsOf(network, data, { gradient: true, temperature: 2 });
    const examples = Uint32Array.from({ length: 7 }, (_, i) => i);
    const expected = await network.meanGradient({ params: ["fc.weight"], data, examples }, ctx);
    expect(gap(gradient!, expected.gradient)).toBeLessThan(tolerance);
    expect(loss).toBeCloseTo(expected.loss, 12);
  });

  test("with a teacher it is that of temperature^2 times the divergence from its class probabilities", async () => {
    const network = networkOf(layers, 1);
    const { name, size, inputs, batch } = imagesOf(4, 1);
    const data: Dataset = {
      ...{ name, size, inputs },
      batch: async (indices) => ({
        ...(await batch(indices)),
        targets: { output: { shape: [indices.length, classes], data: taught.slice(0, indices.length * classes) } },
      }),
    };
    const taught = normals(4 * classes);
    const request = { gradient: true, temperature: 2, task: distillation({ temperature: 2 }) };
    const { gradient } = await momentsOf(network, data, request);
    const { data: w } = network.weights.get("fc.weight")!;
    for (const j of [0, 5, 17, 30]) {
      const [kept, step] = [w[j]!, 1e-5];
      w[j] = kept + step;
      const above = (await momentsOf(network, data, request)).loss;
      w[j] = kept - step;
      const below = (await momentsOf(network, data, request)).loss;
      w[j] = kept;
      // Central differences: step^2 and rounding / step are both about 1e-10.
      expect(gradient![j]!).toBeCloseTo((above - below) / (2 * step), 7);
    }
  });
});

test("a parameter that multiplies no windows is refused by name", async () => {
  const network = networkOf(
    [{ kind: "flatten" }, { kind: "dense", name: "fc", in: height * width, out: classes, bias: true }],
    1,
  );
  await expect(momentsOf(network, imagesOf(2, 1), { params: ["fc.bias"] })).rejects.toMatchObject({
    code: "ERR_INCOMPATIBLE",
    message: expect.stringContaining("'fc.bias'"),
  });
});
