import {
  arrayDataset,
  createPool,
  createRng,
  createRunContext,
  keptPlaces,
  type Mask,
  type Mat,
  matrix,
  referenceKernels,
} from "@secateur/core";
import { expect, test } from "vitest";
import { sumSink, zeroGradients } from "../derivatives/gradients.ts";
import { record } from "../derivatives/tape.ts";
import { mlp } from "../graph/mlp.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { createNetwork, type Network } from "../network.ts";
import { reestimateBatchNorm } from "../training/batch-norm-statistics.ts";
import { train } from "../training/train.ts";
import { fillsPanels, outputPlan, type PanelPlan, panelPlan } from "./panel-plan.ts";

/** Every kind of layer, strides, groups and dilation. */
const everyLayer: NetworkSpec = {
  name: "every layer",
  inputShape: [3, 7, 6],
  classes: 5,
  layers: [
    { kind: "conv2d", name: "first", in: 3, out: 4, kernel: [3, 3], padding: 1, bias: false },
    { kind: "batch-norm", name: "norm", channels: 4 },
    { kind: "relu", name: "a" },
    { kind: "conv2d", name: "grouped", in: 4, out: 4, kernel: [3, 2], padding: 1, groups: 2, dilation: 2 },
    { kind: "relu6" },
    { kind: "conv2d", name: "depthwise", in: 4, out: 4, kernel: [3, 3], padding: 1, groups: 4 },
    { kind: "silu", name: "b" },
    { kind: "conv2d", name: "side", inputs: ["a"], in: 4, out: 4, kernel: [3, 2], padding: 1, dilation: 2 },
    { kind: "gelu", name: "c" },
    { kind: "concat", name: "both", inputs: ["b", "c"] },
    { kind: "dropout", name: "drop", rate: 0.3 },
    { kind: "conv2d", name: "strided", in: 8, out: 12, kernel: [3, 3], stride: 2, padding: 1 },
    { kind: "relu", name: "d" },
    { kind: "subsample-and-pad", name: "shortcut", inputs: ["both"], stride: 2, channels: 12 },
    { kind: "add", inputs: ["d", "shortcut"] },
    { kind: "max-pool", size: 2, stride: 1 },
    { kind: "average-pool", size: 2, stride: 1, padding: 1 },
    { kind: "flatten" },
    { kind: "dense", name: "fc1", in: 108, out: 9 },
    { kind: "layer-norm", name: "ln", features: 9 },
    { kind: "relu" },
    { kind: "dense", name: "fc2", in: 9, out: 5 },
    { kind: "log-softmax" },
  ],
};
const pooled: NetworkSpec = {
  name: "pooled",
  inputShape: [2, 4, 4],
  classes: 3,
  layers: [
    { kind: "conv2d", name: "c1", in: 2, out: 6, kernel: [3, 3], padding: 1 },
    { kind: "relu" },
    { kind: "conv2d", name: "c2", in: 6, out: 6, kernel: [3, 3], padding: 1, bias: false },
    { kind: "batch-norm", name: "n2", channels: 6 },
    { kind: "relu" },
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: 6, out: 3 },
  ],
};

/** A layer with bias and ReLU, to be emptied. */
const withBias: NetworkSpec = {
  ...pooled,
  layers: pooled.layers.map((layer) => (layer.kind === "conv2d" ? { ...layer, bias: true } : layer)),
};

/** Masks that keep every `one` in so many weights. */
function masksOf(network: Network, one: number): Map<string, Mask> {
  const rng = createRng("masks");
  return new Map(
    network
      .params()
      .filter(({ prunable }) => prunable)
      .map(({ name, rows, cols }) => {
        return [name, Uint8Array.from({ length: rows * cols }, () => (rng.integer(one) === 0 ? 1 : 0))];
      }),
  );
}

/** A network whose pruned weights are 0, and the places of the others. */
function pruned(spec: NetworkSpec, one: number): { network: Network; kept: Map<string, Uint32Array> } {
  const network = createNetwork(spec, { seed: 1 });
  const masks = masksOf(network, one);
  for (const [name, mask] of masks) {
    network.weights.get(name)!.data.forEach((_, i, w) => {
      if (mask[i] === 0) w[i] = 0;
    });
  }
  return { network, kept: new Map([...masks].map(([name, mask]) => [name, keptPlaces(mask)])) };
}

function normals(rows: number, cols: number): Mat {
  const rng = createRng("inputs");
  return matrix(
    rows,
    cols,
    Float32Array.from({ length: rows * cols }, () => rng.normal()),
  );
}

test.each([
  ["every layer", everyLayer, []],
  ["some products dense", everyLayer, ["strided", "fc1", "depthwise"] as string[]],
  ["a mean of whole images", pooled, []],
  ["channels last", { ...everyLayer, layout: "nhwc", inputShape: [7, 6, 3] } as NetworkSpec, []],
])("panels give the outputs, statistics and gradients that rows give: %s", (_, spec, inRows) => {
  const { network, kept } = pruned(spec, 3);
  const pool = createPool(referenceKernels, "f32");
  const plan: PanelPlan = new Map(
    [...kept].flatMap(([name, places]) => {
      const layer = name.replace(/\.weight$/, "");
      const { rows, cols } = network.weights.get(name)!;
      const starts = Uint32Array.from({ length: rows + 1 }, (_, row) => places.filter((i) => i < row * cols).length);
      const pattern = { rows, cols, starts, columns: places.map((place) => place % cols) };
      return inRows.includes(layer) ? [] : [[layer, { places, pattern }] as const];
    }),
  );
  const features = spec.inputShape.reduce((product, extent) => product * extent, 1);
  const input = normals(64, features);
  const delta = normals(64, spec.classes);
  const run = (panels?: PanelPlan) => {
    const rng = createRng("dropout");
    const statistics = new Map<string, Float64Array[]>();
    const tape = record({
      ...{ network: spec, weights: network.weights, input, pool, mode: "train", random: () => rng.next() },
      onStatistics: (layer, mean, variance) => statistics.set(layer, [mean, variance]),
      ...(panels ? { panels } : {}),
    });
    const gradients = zeroGradients(network.weights);
    tape.backward(delta, sumSink(gradients, 0.5));
    const logits = tape.logits.data.slice();
    tape.release();
    return { logits, statistics, gradients };
  };
  const [rows, panels] = [run(), run(plan)];
  // Sums of some hundred f32 numbers of order 1 to 10, in two orders.
  const expectSame = (found: ArrayLike<number>, expected: ArrayLike<number>, what: string): void => {
    const scale = Math.max(1, ...Array.from(expected, Math.abs));
    const worst = Array.from(expected).reduce((most, value, i) => Math.max(most, Math.abs(found[i]! - value)), 0);
    expect(worst / scale, what).toBeLessThan(2e-6);
  };
  expectSame(panels.logits, rows.logits, "output");
  expect([...panels.statistics.keys()]).toEqual([...rows.statistics.keys()]);
  for (const [layer, [mean, variance]] of rows.statistics) {
    expectSame(panels.statistics.get(layer)![0]!, mean!, `mean of ${layer}`);
    expectSame(panels.statistics.get(layer)![1]!, variance!, `variance of ${layer}`);
  }
  for (const [name, { data }] of rows.gradients) {
    const places = kept.get(name) ?? Uint32Array.from(data, (_, i) => i);
    const at = (from: ArrayLike<number>): number[] => Array.from(places, (place) => from[place]!);
    expectSame(at(panels.gradients.get(name)!.data), at(data), name);
    // Something would be wrong with a test of zeros.
    if (network.params().some((param) => param.name === name)) expect(at(data).some((g) => g !== 0)).toBe(true);
  }
  pool.close();
});

test("a network with few weights gives its outputs over those alone, batch normalisation folded in, to what rows give", async () => {
  const { network } = pruned(withBias, 4);
  network.weights.get("c2.weight")!.data.fill(0);
  const data = arrayDataset({
    inputs: normals(77, 32),
    inputShape: [2, 4, 4],
    labels: Uint32Array.from({ length: 77 }, (_, i) => i % 3),
    classes: 3,
  });
  const { sparseConvolve, ...dense } = referenceKernels;
  let calls = 0;
  const counting: typeof sparseConvolve = (spec) => {
    calls++;
    sparseConvolve!(spec);
  };
  const run = async (kernels: typeof referenceKernels) => {
    const ctx = createRunContext({ seed: 3, kernels });
    await reestimateBatchNorm(network, data, ctx, { batchSize: 32 });
    const { data: mean } = network.weights.get("n2.running_mean")!;
    return { mean: mean.slice(), evaluation: await network.evaluate(data, ctx) };
  };
  const [panels, rows] = [await run({ ...dense, sparseConvolve: counting }), await run(dense)];
  // Two of the three layers keep something: in two whole batches of statistics, and in the one pass of the evaluation.
  expect(calls).toBe(2 * 2 + 2);
  // Sums of some ten f32 numbers, in two orders.
  expect(panels.evaluation.loss).toBeCloseTo(rows.evaluation.loss, 6);
  expect(panels.evaluation.accuracy).toBe(rows.evaluation.accuracy);
  panels.mean.forEach((value: number, c: number) => {
    expect(value).toBeCloseTo(rows.mean[c]!, 6);
  });
});

test("panels with running statistics do not go backward: gradients would be those of folded weights", () => {
  const { network } = pruned(pooled, 12);
  const pool = createPool(referenceKernels, "f32");
  const panels = outputPlan({ network: pooled, weights: network.weights, pool })!;
  const tape = record({ network: pooled, weights: network.weights, input: normals(32, 32), pool, panels });
  expect(() => tape.backward(normals(32, 3), sumSink(zeroGradients(network.weights), 1))).toThrow(/training alone/);
});

test("a masked network trains over its kept weights to what it trains to in rows, a last smaller batch included", async () => {
  const data = arrayDataset({
    inputs: normals(80, 32),
    inputShape: [2, 4, 4],
    labels: Uint32Array.from({ length: 80 }, (_, i) => i % 3),
    classes: 3,
  });
  const run = async (sparse: boolean) => {
    const network = createNetwork(pooled, { seed: 1 });
    const calls = { sparse: 0 };
    const { sparseConvolve, ...dense } = referenceKernels;
    const counting: typeof sparseConvolve = (spec) => {
      calls.sparse++;
      sparseConvolve!(spec);
    };
    const kernels = sparse ? { ...dense, sparseConvolve: counting! } : dense;
    const masks = masksOf(network, 12);
    const report = await train(
      network,
      { data, epochs: 2, batchSize: 32, masks, learningRate: () => 0.1 },
      createRunContext({ seed: 3, kernels }),
    );
    return { network, report, calls, masks };
  };
  const [rows, panels] = [await run(false), await run(true)];
  // A product for each layer that keeps anything, in each of the two whole batches of an epoch.
  const alive = [...panels.masks.values()].filter((mask) => mask.includes(1)).length;
  expect([rows.calls.sparse, panels.calls.sparse]).toEqual([0, 4 * alive]);
  expect(panels.report.epochs.at(-1)!.loss).toBeCloseTo(rows.report.epochs.at(-1)!.loss, 5);
  for (const { name, data: found } of panels.network.tensors()) {
    const expected = rows.network.tensors().find((tensor) => tensor.name === name)!.data;
    // Six steps on, rounding of 1e-7 a step has grown with the curvature of the loss.
    const worst = Array.from(found).reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
    expect(worst, name).toBeLessThan(1e-5);
    panels.masks.get(name)?.forEach((bit, i) => {
      if (bit === 0) expect(found[i]).toBe(0);
    });
  }
});

test("panels are chosen by counting: not for networks that keep most of their weights, nor in f64, nor without the kernels", () => {
  const spec = mlp({ sizes: [64, 96, 10] });
  const plan = (one: number, options: { dtype?: "f64"; kernels?: typeof referenceKernels } = {}) => {
    const { network, kept } = pruned(spec, one);
    const pool = createPool(options.kernels ?? referenceKernels, options.dtype ?? "f32");
    return panelPlan({ network: spec, weights: network.weights, kept, pool });
  };
  expect(plan(1)).toBeUndefined();
  expect([...plan(10)!.keys()]).toEqual(["fc1", "fc2"]);
  expect(plan(10, { dtype: "f64" })).toBeUndefined();
  const { sparseGradients: _, ...without } = referenceKernels;
  expect(plan(10, { kernels: without })).toBeUndefined();
  expect([32, 64, 65, 16].map(fillsPanels)).toEqual([true, true, false, false]);
});
