import { arrayDataset, createRng, createRunContext, matrix, type RunContext } from "@secateur/core";
import { activations } from "@secateur/fisher";
import { createGraphModel, type GraphModel, type GraphTensor } from "@secateur/graph";
import { createNetwork, mlp } from "@secateur/nn";
import { expect, test } from "vitest";
import { alps } from "../methods/alps.ts";
import { pruneLayers } from "./prune-layers.ts";

const rng = createRng("refit");
const weight = (name: string, rows: number, cols: number): GraphTensor => ({
  ...{ name, dtype: "f64", shape: [rows, cols] },
  data: Float64Array.from({ length: rows * cols }, () => rng.normal()),
});
const tensors = [weight("a", 6, 8), weight("b", 8, 6), weight("c", 6, 8), weight("d", 8, 6)];

/** h = x + tanh(x a) b, y = h + tanh(h c) d; with batch normalisation of x a and h c where it is asked for. */
function residual({ isNormalised = false } = {}): GraphModel {
  const node = (op: string, inputs: string[], output: string) => ({
    ...{ name: output, op, domain: "", inputs, outputs: [output], attributes: {} },
  });
  /** tanh(x w), or of it normalised. */
  const branch = (x: string, w: string, names: readonly [string, string, string]) => {
    const [product, normal, out] = names;
    const norm = node("BatchNormalization", [product, "scale", "shift", `mean ${w}`, `var ${w}`], normal);
    return [
      ...[node("MatMul", [x, w], product), ...(isNormalised ? [norm] : [])],
      node("Tanh", [isNormalised ? normal : product], out),
    ];
  };
  const nodes = [
    ...[...branch("x", "a", ["xa", "na", "ta"]), node("MatMul", ["ta", "b"], "tb"), node("Add", ["x", "tb"], "h")],
    ...[...branch("h", "c", ["hc", "nc", "tc"]), node("MatMul", ["tc", "d"], "td"), node("Add", ["h", "td"], "y")],
  ];
  const channels = (name: string, value: number): GraphTensor => ({
    ...{ name, dtype: "f64", shape: [8], data: new Float64Array(8).fill(value) },
  });
  const statistics = ["a", "c"].flatMap((w) => [channels(`mean ${w}`, 0.1), channels(`var ${w}`, 6)]);
  const graph = {
    ...{ name: "residual", nodes },
    initializers: [...tensors, channels("scale", 1), channels("shift", 0), ...statistics],
    inputs: [{ name: "x", dtype: "f64", shape: ["n", 6] }],
    outputs: [{ name: "y", dtype: "f64", shape: ["n", 6] }],
  };
  return createGraphModel({ graph, opsets: { "": 20 }, dtype: "f64" });
}

const data = arrayDataset({
  inputs: matrix(
    64,
    6,
    Float64Array.from({ length: 384 }, () => rng.normal()),
  ),
});

test("re-fitted blocks are nearer to the dense ones, keep their zeros, and are never left worse", async () => {
  const prune = async (rate: number | undefined, epochs = 6) => {
    const model = residual();
    const request = {
      model,
      data,
      solver: alps(),
      curvature: activations(),
      sparsity: 0.5,
      allocation: "uniform" as const,
      // Layers led to the dense outputs leave the blocks little to gain.
      match: "own" as const,
    };
    const blocks = rate === undefined ? {} : { blocks: { epochs, rate } };
    return { model, result: await pruneLayers({ ...request, ...blocks }, createRunContext({ seed: 1 })) };
  };
  const [without, fitted] = [await prune(undefined), await prune(0.05)];
  expect(fitted.result.blocks!.map(({ params }) => params)).toEqual([
    ["a", "b"],
    ["c", "d"],
  ]);
  for (const { before, after } of fitted.result.blocks!) expect(after).toBeLessThan(before);
  for (const [name, { data: w }] of without.model.weights) {
    const refitted = fitted.model.weights.get(name)!.data;
    expect([...refitted].map((value) => value === 0)).toEqual([...w].map((value) => value === 0));
  }
  // A first step that is too long costs an epoch: the others are those of a re-fit that begins with a quarter of it.
  const [long, quarter] = [await prune(4), await prune(1, 5)];
  for (const [name, { data: w }] of quarter.model.weights) expect(long.model.weights.get(name)!.data).toEqual(w);
  expect(long.result.blocks).toEqual(quarter.result.blocks);
  // Steps far too long make no epoch better: the weights from before stay.
  const wild = await prune(1e6);
  for (const { before, after } of wild.result.blocks!) expect(after).toBe(before);
  for (const [name, { data: w }] of without.model.weights) expect(wild.model.weights.get(name)!.data).toEqual(w);
});

test("a run that is aborted leaves the dense weights, and a model without blocks is refused before anything is pruned", async () => {
  const model = residual();
  const dense = new Map([...model.weights].map(([name, { data: w }]) => [name, w.slice()]));
  const controller = new AbortController();
  const onEvent = (event: { type: string; task?: string }): void => {
    if (event.type === "progress" && event.task === "solve") controller.abort();
  };
  const request = { model, data, solver: alps(), curvature: activations(), sparsity: 0.5 };
  const ctx = createRunContext({ signal: controller.signal, onEvent });
  await expect(pruneLayers(request, ctx)).rejects.toMatchObject({ code: "ERR_ABORTED" });
  for (const [name, { data: w }] of model.weights) expect(w).toEqual(dense.get(name));
  const network = createNetwork(mlp({ sizes: [6, 4, 2] }));
  const refused = pruneLayers({ ...request, model: network, blocks: {} }, createRunContext());
  await expect(refused).rejects.toMatchObject({ code: "ERR_INCOMPATIBLE" });
});

test("blocks are led to what the dense ones give with the statistics of the dense model, and these come back after an abort", async () => {
  const [model, dense] = [residual({ isNormalised: true }), residual({ isNormalised: true })];
  const seeded = { seed: 1 };
  const reference = await model.channelStatistics!(data, createRunContext(seeded));
  const controller = new AbortController();
  const [targets, expected]: number[][] = [[], []];
  const spied = {
    ...model,
    async blocks(request: Parameters<NonNullable<GraphModel["blocks"]>>[0]) {
      const blocks = await model.blocks!(request);
      return blocks.map((block, b) => ({
        ...block,
        async distance(call: Parameters<typeof block.distance>[0], ctx: Parameters<typeof block.distance>[1]) {
          if (b === blocks.length - 1) {
            targets!.push(...call.target);
            expected!.push(...(await dense.run!(call.batch, createRunContext()))["y"]!.data);
          }
          if (targets!.length > 100) controller.abort();
          return await block.distance(call, ctx);
        },
      }));
    },
  };
  const request = {
    ...{ model: spied, data, solver: alps(), curvature: activations(), sparsity: 0.7 },
    ...{ allocation: "uniform" as const, blocks: { epochs: 2 } },
    recalibrate: async (ctx: RunContext) =>
      await model.matchStatistics!(reference, data, createRunContext({ ...seeded, signal: ctx.signal })),
  };
  const ctx = createRunContext({ ...seeded, signal: controller.signal });
  await expect(pruneLayers(request, ctx)).rejects.toMatchObject({ code: "ERR_ABORTED" });
  expect(targets!.length).toBeGreaterThan(100);
  expect(targets).toEqual(expected);
  expect(model.changedOffsets().size).toBe(0);
});

test("options of a re-fit that mean nothing are refused before anything is pruned", async () => {
  const model = residual();
  for (const blocks of [{ batchSize: 0 }, { batchSize: 1.5 }, { rate: Number.NaN }, { rate: -1 }, { epochs: -1 }]) {
    const request = { model, data, solver: alps(), curvature: activations(), sparsity: 0.5, blocks };
    await expect(pruneLayers(request, createRunContext())).rejects.toMatchObject({ code: "ERR_OPTION" });
  }
  expect(model.written.size).toBe(0);
});
