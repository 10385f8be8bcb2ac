import { arrayDataset, createRunContext, type Dtype, matrix } from "@secateur/core";
import { describe, expect, test } from "vitest";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { createGraphModel, type GraphModel } from "./graph-model.ts";

const node = (op: string, inputs: string[], output: string, attributes: NodeSpec["attributes"] = {}): NodeSpec => ({
  ...{ name: output, op, domain: "", inputs, outputs: [output], attributes },
});
const wave = (name: string, ...shape: number[]): GraphTensor => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return { name, dtype: "f64", shape, data: Float64Array.from({ length: size }, (_, i) => Math.sin(1.3 * i + size)) };
};

/** Two convolutions with normalisations folded into them; a third one whose bias another node reads, and one without a bias. */
const graph: GraphSpec = {
  name: "folded",
  nodes: [
    node("Conv", ["x", "c1", "b1"], "h1", { pads: [1, 1, 1, 1] }),
    node("Relu", ["h1"], "a1"),
    node("Conv", ["a1", "c2", "b2"], "h2", { pads: [1, 1, 1, 1], group: 2 }),
    node("Add", ["h2", "a1"], "sum"),
    node("Conv", ["sum", "c3", "b3"], "h3"),
    node("Conv", ["h3", "c4"], "h4"),
    node("GlobalAveragePool", ["h4"], "pooled"),
    node("Flatten", ["pooled"], "flat"),
    node("Add", ["flat", "b3"], "scores"),
  ],
  initializers: [
    ...[wave("c1", 4, 2, 3, 3), wave("b1", 4), wave("c2", 4, 2, 3, 3), wave("b2", 4), wave("c3", 4, 4, 1, 1)],
    ...[wave("b3", 4), wave("c4", 4, 4, 1, 1)],
  ],
  inputs: [{ name: "x", dtype: "f64", shape: ["batch", 2, 4, 5] }],
  outputs: [{ name: "scores", dtype: "f64", shape: ["batch", 4] }],
};
const opsets = { "": 17 };
const data = arrayDataset({
  inputs: matrix(
    12,
    40,
    Float64Array.from({ length: 12 * 40 }, (_, i) => Math.sin(0.37 * i * i)),
  ),
  labels: Uint32Array.from({ length: 12 }, (_, i) => i % 4),
  inputShape: [2, 4, 5],
});

/** The network as its file would be after the run. */
function reopened(model: GraphModel, of: GraphSpec = graph, dtype: Dtype = "f64"): GraphModel {
  const changed = new Map([...model.changedOffsets()].map(([{ name }, numbers]) => [name, numbers]));
  for (const name of model.written) changed.set(name, model.stored(name).data);
  const initializers = of.initializers.map((tensor) => ({
    ...tensor,
    data: changed.get(tensor.name) ?? tensor.data!,
  }));
  return createGraphModel({ graph: { ...of, initializers }, opsets, dtype, corrects: true });
}

const inSingle = (tensor: GraphTensor): GraphTensor => ({
  ...{ ...tensor, dtype: "f32" },
  data: Float32Array.from(tensor.data as Float64Array),
});
const singleData = arrayDataset({
  inputs: matrix(
    12,
    40,
    Float32Array.from({ length: 12 * 40 }, (_, i) => Math.sin(0.37 * i * i)),
  ),
  labels: Uint32Array.from({ length: 12 }, (_, i) => i % 4),
  inputShape: [2, 4, 5],
});

describe("convolutions without a normalisation behind them", () => {
  test("are corrected where weight and bias are theirs alone, and cost what they cost", async () => {
    const model = createGraphModel({ graph, opsets, dtype: "f64", corrects: true });
    expect(model.corrected).toEqual(["c1", "c2"]);
    // Without biases nothing is corrected, and a bias is not counted.
    const without = { ...graph, nodes: graph.nodes.map((one) => ({ ...one, inputs: one.inputs.slice(0, 2) })) };
    expect(await model.flops()).toBe(
      await createGraphModel({ graph: without, opsets, dtype: "f64", corrects: true }).flops(),
    );
  });

  test("give each channel the mean and variance it had, also when the file is opened again", async () => {
    const model = createGraphModel({ graph, opsets, dtype: "f64", corrects: true });
    const ctx = createRunContext();
    const dense = await model.channelStatistics!(data, ctx);
    for (const name of ["c1", "c2"]) {
      const w = await model.read(name);
      await model.write(name, { ...w, data: w.data.map((x: number, i: number) => (i % 3 === 0 ? x : 0)) });
    }
    await model.matchStatistics!(dense, data, ctx);
    const again = reopened(model);
    const batch = await data.batch(Uint32Array.of(0, 5, 7));
    const [now, then] = [await model.run!(batch, ctx), await again.run!(batch, ctx)];
    // The same sums, scaled before or after: f64 rounding.
    now["scores"]!.data.forEach((score: number, i: number) => {
      expect(Math.abs(score - then["scores"]!.data[i]!)).toBeLessThan(1e-11);
    });
    const measured = await again.channelStatistics!(data, ctx);
    for (const [name, { mean, variance }] of dense) {
      const found = measured.get(name)!;
      expect(Math.max(...mean.map((m, c) => Math.abs(found.mean[c]! - m)))).toBeLessThan(1e-11);
      expect(Math.max(...variance.map((v, c) => Math.abs(found.variance[c]! / v - 1)))).toBeLessThan(1e-11);
    }
    const { data: zeros } = await again.read("c1");
    expect(zeros.map((x: number) => Number(x !== 0))).toEqual(zeros.map((_: number, i: number) => Number(i % 3 === 0)));
  });

  test("keep what little a channel gives that was pruned away whole, in the run and in its file, in f32", async () => {
    const single = { ...graph, initializers: graph.initializers.map(inSingle), inputs: graph.inputs };
    const model = createGraphModel({ graph: single, opsets, dtype: "f32", corrects: true });
    const ctx = createRunContext();
    const dense = await model.channelStatistics!(singleData, ctx);
    const w = await model.read("c1");
    await model.write("c1", { ...w, data: w.data.map((x: number, i: number) => (i < w.cols ? 0 : x)) });
    await model.matchStatistics!(dense, singleData, ctx);
    const again = reopened(model, single, "f32");
    const batch = await singleData.batch(Uint32Array.of(0, 5, 7));
    const [now, then] = [await model.run!(batch, ctx), await again.run!(batch, ctx)];
    // f32 rounding of sums of some dozens.
    now["scores"]!.data.forEach((score: number, i: number) => {
      expect(Math.abs(score - then["scores"]!.data[i]!)).toBeLessThan(1e-4);
    });
    const { mean } = (await again.channelStatistics!(singleData, ctx)).get("h1")!;
    expect(Math.abs(mean[0]! - dense.get("h1")!.mean[0]!)).toBeLessThan(1e-6);
  });

  test("are written as they were where nothing changed", async () => {
    const model = createGraphModel({ graph, opsets, dtype: "f64", corrects: true });
    const ctx = createRunContext();
    await model.matchStatistics!(await model.channelStatistics!(data, ctx), data, ctx);
    expect(model.changedOffsets().size).toBe(0);
  });
});
