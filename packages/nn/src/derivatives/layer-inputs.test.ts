import {
  arrayDataset,
  type Batch,
  createRng,
  createRunContext,
  inputRows,
  type LayerInputsMode,
  matrix,
} from "@secateur/core";
import { expect, test } from "vitest";
import { mlp } from "../graph/mlp.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { createNetwork, type Network } from "../network.ts";

const examples = Uint32Array.from({ length: 6 }, (_, i) => i);

function someImages(spec: NetworkSpec) {
  const features = spec.inputShape.reduce((product, extent) => product * extent, 1);
  const rng = createRng("images");
  const inputs = matrix(
    6,
    features,
    Float64Array.from({ length: 6 * features }, () => rng.normal()),
  );
  return arrayDataset({ inputs, labels: [0, 1, 0, 1, 0, 1], classes: 2, inputShape: spec.inputShape });
}

/** X'X of every entry, by its parameters; `visit` may write weights between two entries. */
async function grams(
  network: Network,
  inputs: LayerInputsMode,
  visit: (params: readonly string[]) => Promise<void> = async () => {},
) {
  const found = new Map<string, number[][]>();
  const all = network
    .params()
    .filter(({ prunable }) => prunable)
    .map(({ name }) => name);
  const data = someImages(network.spec);
  for await (const entry of network.layerInputs({ params: all, data, examples, inputs }, createRunContext())) {
    const X: number[][] = [];
    for await (const chunk of entry.chunks) {
      for (let i = 0; i < chunk.rows; i++) X.push([...chunk.data.subarray(i * chunk.cols, (i + 1) * chunk.cols)]);
    }
    const params = entry.targets.map(({ param }) => param);
    found.set(`${params.join()}@${entry.targets[0]!.firstRow}`, X);
    await visit(params);
  }
  return found;
}

const chain = mlp({ sizes: [5, 4, 3, 2] });

/** The definition: x W' + b, then ReLU, layer after layer. */
function forward(network: Network, layers: number): number[][] {
  const source = inputRows(someImages(network.spec).batch(examples) as Batch);
  let x = Array.from({ length: 6 }, (_, i) => [...source.data.subarray(i * 5, (i + 1) * 5)]);
  for (let l = 1; l <= layers; l++) {
    const W = network.weights.get(`fc${l}.weight`)!;
    const b = network.weights.get(`fc${l}.bias`)!;
    x = x.map((row) =>
      Array.from({ length: W.rows }, (_, o) => {
        const sum = row.reduce((total, value, j) => total + value * W.data[o * W.cols + j]!, b.data[o]!);
        return Math.max(0, sum);
      }),
    );
  }
  return x;
}

const close = (found: readonly number[][], expected: readonly number[][]): void => {
  expect(found.length).toBe(expected.length);
  // Sums of five f64 products in another order.
  found.forEach((row, i) => {
    for (const [j, value] of row.entries()) expect(value).toBeCloseTo(expected[i]![j]!, 12);
  });
};

test("sequential inputs are those of a fresh forward pass with what was written, parallel ones of the dense network", async () => {
  for (const mode of ["sequential", "parallel"] as const) {
    const network = createNetwork(chain, { seed: 3, dtype: "f64" });
    const dense = [forward(network, 0), forward(network, 1), forward(network, 2)];
    const found = await grams(network, mode, async ([param]) => {
      const w = await network.read(param!);
      await network.write(param!, { ...w, data: w.data.map((value, i) => (i % 3 === 0 ? 0 : 2 * value)) });
    });
    for (const [l, name] of ["fc1", "fc2", "fc3"].entries()) {
      close(found.get(`${name}.weight@0`)!, mode === "parallel" ? dense[l]! : forward(network, l));
    }
  }
});

const images: NetworkSpec = {
  name: "branches",
  inputShape: [2, 5, 6],
  classes: 2,
  layers: [
    { kind: "conv2d", name: "stem", in: 2, out: 4, kernel: [3, 3], padding: 1 },
    { kind: "batch-norm", name: "norm", channels: 4 },
    { kind: "relu", name: "act" },
    { kind: "conv2d", name: "left", in: 4, out: 4, kernel: [3, 3], padding: 1, stride: 2 },
    { kind: "conv2d", name: "right", in: 4, out: 4, kernel: [3, 3], padding: 1, stride: 2, inputs: ["act"] },
    { kind: "add", name: "sum", inputs: ["left", "right"] },
    { kind: "relu" },
    { kind: "conv2d", name: "grouped", in: 4, out: 2, kernel: [2, 1], groups: 2, bias: false },
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: 2, out: 2, bias: true },
  ],
};

test("windows of convolutions are in canonical order, also of groups: their second moments are those of layerMoments", async () => {
  const network = createNetwork(images, { seed: 1, dtype: "f64" });
  const found = await grams(network, "parallel");
  const params = ["stem.weight", "left.weight", "grouped.weight", "fc.weight"];
  const { layers } = await network.layerMoments(
    { params, data: someImages(images), examples, temperature: 1, gradient: false, centred: false },
    createRunContext(),
  );
  for (const { param, firstRow, inputs } of layers) {
    const key = [...found.keys()].find(
      (name) => name.split("@")[0]!.split(",").includes(param) && name.endsWith(`@${firstRow}`),
    )!;
    const X = found.get(key)!;
    for (let i = 0; i < inputs.rows; i++) {
      for (let j = 0; j < inputs.cols; j++) {
        const sum = X.reduce((total, row) => total + row[i]! * row[j]!, 0) / examples.length;
        expect(sum).toBeCloseTo(inputs.data[i * inputs.cols + j]!, 10);
      }
    }
  }
});

test("weights that see the same inputs come together, in the order of the graph", async () => {
  const network = createNetwork(images, { seed: 1, dtype: "f64" });
  const found = await grams(network, "sequential");
  expect([...found.keys()]).toEqual([
    "stem.weight@0",
    "left.weight,right.weight@0",
    "grouped.weight@0",
    "grouped.weight@1",
    "fc.weight@0",
  ]);
});

test("a NaN on the way is named with its layer and example, and a parameter without inputs is refused", async () => {
  const network = createNetwork(chain, { seed: 3, dtype: "f64" });
  network.weights.get("fc1.weight")!.data[2] = Number.NaN;
  await expect(grams(network, "parallel")).rejects.toMatchObject({
    code: "ERR_NOT_FINITE",
    message: expect.stringMatching(/input of layer 'fc2' for example 0/),
  });
  const request = { params: ["fc1.bias"], data: someImages(chain), examples, inputs: "parallel" as const };
  const first = network.layerInputs(request, createRunContext())[Symbol.asyncIterator]().next();
  await expect(first).rejects.toMatchObject({ code: "ERR_INCOMPATIBLE" });
});
