import { arrayDataset, createRng, createRunContext, type GradientBlock, matrix } from "@secateur/core";
import { createNetwork, type LayerSpec, type Network } from "@secateur/nn";
import { expect, test } from "vitest";
import { tiedModel } from "./tied-model.ts";

const dense = (name: string, size: number, out = size): LayerSpec => ({
  kind: "dense",
  name,
  in: size,
  out,
  bias: true,
});
const conv = (name: string): LayerSpec => ({ kind: "conv2d", name, in: 2, out: 2, kernel: [3, 3], padding: 1 });
const rng = createRng(3);
const ctx = createRunContext({ seed: 0 });

const networks: readonly [what: string, network: Network][] = [
  [
    "dense layers",
    createNetwork(
      {
        ...{ name: "net", inputShape: [4], classes: 3 },
        layers: [dense("a", 4), { kind: "silu" }, dense("b", 4), { kind: "silu" }, dense("c", 4, 3)],
      },
      { seed: 1, dtype: "f64" },
    ),
  ],
  [
    "convolutions",
    createNetwork(
      {
        ...{ name: "net", inputShape: [2, 3, 3], classes: 2 },
        layers: [conv("a"), { kind: "silu" }, conv("b"), { kind: "global-average-pool" }],
      },
      { seed: 1, dtype: "f64" },
    ),
  ],
];

test.each(networks)("gradients of a weight with two uses are those of the loss: %s", async (_, network) => {
  const { inputShape, classes } = network.spec;
  const features = inputShape.reduce((product, extent) => product * extent, 1);
  const inputs = matrix(
    6,
    features,
    Float64Array.from({ length: 6 * features }, () => rng.normal()),
  );
  const labels = Uint32Array.from({ length: 6 }, (__, i) => i % classes);
  const data = arrayDataset({ inputs, labels, classes, inputShape });
  const model = tiedModel(network, [["a.weight", "b.weight"]]);
  await model.write("a.weight", await model.read("a.weight"));
  const names = model.params().map(({ name }) => name);
  expect(names).toContain("a.weight");
  expect(names).not.toContain("b.weight");
  const params = names.filter((name) => name.endsWith(".weight"));

  const weight = await model.read("a.weight");
  const step = 1e-5;
  const differences: number[] = [];
  for (let j = 0; j < weight.data.length; j++) {
    const lossAt = async (change: number): Promise<number> => {
      const moved = Float64Array.from(weight.data);
      moved[j]! += change;
      await model.write("a.weight", { ...weight, data: moved });
      return (await model.evaluate(data, ctx)).loss;
    };
    differences.push(((await lossAt(step)) - (await lossAt(-step))) / (2 * step));
  }
  await model.write("a.weight", weight);
  expect((await network.read("b.weight")).data).toEqual(weight.data);

  // f64 throughout: central differences err by step^2 of third derivatives of order 1.
  const tolerance = 1e-8;
  const mean = await model.meanGradient!({ params, data, examples: Uint32Array.from([0, 1, 2, 3, 4, 5]) }, ctx);
  for (const [j, value] of differences.entries()) expect(Math.abs(mean.gradient[j]! - value)).toBeLessThan(tolerance);
  for (const batch of [1, 3]) {
    const examples = Uint32Array.from([0, 1, 2, 3, 4, 5]);
    const found = await model.gradientRows!({ params, data, examples, batch }, ctx);
    const rows = written(found.blocks[0]!, found.rows);
    for (const [j, value] of differences.entries()) {
      const average = rows.reduce((total, row) => total + row[j]!, 0) / found.rows;
      expect(Math.abs(average - value)).toBeLessThan(tolerance);
    }
    expect(found.blocks.map(({ param }) => param)).toEqual(params);
  }
});

/** The rows of a block, written out. */
function written(block: GradientBlock, rows: number): number[][] {
  if (block.kind === "dense") {
    const { cols, data } = block.rows;
    return Array.from({ length: rows }, (_, i) => Array.from(data.subarray(i * cols, (i + 1) * cols)));
  }
  const { delta, input, group } = block;
  return Array.from({ length: rows }, (_, i) => {
    const row = new Array<number>(delta.cols * input.cols).fill(0);
    for (let j = i * group; j < (i + 1) * group; j++) {
      for (let o = 0; o < delta.cols; o++) {
        for (let k = 0; k < input.cols; k++) {
          row[o * input.cols + k]! += delta.data[j * delta.cols + o]! * input.data[j * input.cols + k]!;
        }
      }
    }
    return row;
  });
}
