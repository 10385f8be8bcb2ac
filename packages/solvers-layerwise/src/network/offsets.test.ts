import {
  arrayDataset,
  createRng,
  createRunContext,
  type LayerCurvatureEstimator,
  type Mat,
  matrix,
  type Solver,
} from "@secateur/core";
import { activations } from "@secateur/fisher";
import { createGraphModel, type GraphModel } from "@secateur/graph";
import { createNetwork, mlp, type Network, type NetworkSpec } from "@secateur/nn";
import { expect, test } from "vitest";
import { dsnot } from "../methods/dsnot.ts";
import { obc } from "../methods/obc.ts";
import { wanda } from "../methods/wanda.ts";
import { biasMatcher } from "./match-biases.ts";
import { pruneLayers } from "./prune-layers.ts";

const ctx = createRunContext();
const chain = mlp({ sizes: [12, 10, 8, 3] });
const names = ["fc1.weight", "fc2.weight", "fc3.weight"];
const normed: NetworkSpec = {
  name: "normed",
  inputShape: [2, 5, 5],
  classes: 3,
  layers: [
    { kind: "conv2d", name: "conv1", in: 2, out: 6, kernel: [3, 3], bias: true },
    { kind: "batch-norm", name: "bn1", channels: 6 },
    { kind: "relu" },
    { kind: "conv2d", name: "conv2", in: 6, out: 4, kernel: [3, 3], bias: false },
    { kind: "batch-norm", name: "bn2", channels: 4 },
    { kind: "relu" },
    { kind: "flatten" },
    { kind: "dense", name: "fc", in: 4, out: 3 },
  ],
};

/** Inputs whose means are far from 0. */
function someData({ inputShape }: NetworkSpec, size = 90) {
  const features = inputShape.reduce((product, extent) => product * extent, 1);
  const rng = createRng("offsets");
  const data = Float64Array.from({ length: size * features }, (_, i) => 1 + (i % 3) + rng.normal());
  const labels = Uint32Array.from({ length: size }, (_, i) => i % 3);
  return arrayDataset({ inputs: matrix(size, features, data), labels, classes: 3, inputShape });
}

const outputsOf = async (model: Network): Promise<Mat> => {
  const data = someData(model.spec);
  const batch = await data.batch(Uint32Array.from({ length: data.size }, (_, i) => i));
  const [output] = Object.values(await model.run(batch, ctx));
  return matrix(data.size, 3, output!.data);
};
const meansOf = ({ rows, cols, data }: Mat): number[] =>
  Array.from({ length: cols }, (_, j) => {
    let sum = 0;
    for (let r = 0; r < rows; r++) sum += data[r * cols + j]!;
    return sum / rows;
  });
const requestOf = (model: Network) => {
  return { model, data: someData(model.spec), solver: obc(), curvature: activations({ damping: 0 }), sparsity: 0.6 };
};

test("with biases fitted, mean outputs are the dense ones, and the last error is that of outputs less their means", async () => {
  for (const inputs of ["sequential", "parallel"] as const) {
    const model = createNetwork(chain, { seed: 4, dtype: "f64" });
    const before = await outputsOf(model);
    const params = inputs === "parallel" ? ["fc3.weight"] : names;
    const request = { ...requestOf(model), inputs, params, offsets: "biases", allocation: "uniform" } as const;
    const { layers } = await pruneLayers(request, ctx);
    const after = await outputsOf(model);
    const means = meansOf(before);
    // Sums of 90 f64 outputs of about 10.
    meansOf(after).forEach((mean, j) => void expect(mean).toBeCloseTo(means[j]!, 9));
    let [lost, whole] = [0, 0];
    after.data.forEach((value: number, i: number) => {
      lost += (value - before.data[i]!) ** 2;
      whole += (before.data[i]! - means[i % 3]!) ** 2;
    });
    expect(layers.at(-1)!.relativeError).toBeCloseTo(lost / whole, 9);
  }
});

test("weights solved with the bias free are nearer to the dense outputs than weights that carry the mean themselves", async () => {
  const lostBy = async (offsets: "none" | "biases"): Promise<number> => {
    const model = createNetwork(chain, { seed: 4, dtype: "f64" });
    const before = await outputsOf(model);
    await pruneLayers({ ...requestOf(model), offsets, allocation: "uniform" }, ctx);
    const after = await outputsOf(model);
    return [...after.data].reduce((sum, value, i) => sum + (value - before.data[i]!) ** 2, 0);
  };
  expect(await lostBy("biases")).toBeLessThan(0.9 * (await lostBy("none")));
});

/** Mean and variance of the outputs of a layer's rows [mean, variance], by weight, from a fresh pass; they become the statistics where it is said. */
async function measuredOutputs(
  model: Network,
  isMeasuring: boolean,
): Promise<ReadonlyMap<string, readonly (readonly [number, number])[]>> {
  const data = someData(normed);
  const examples = Uint32Array.from({ length: data.size }, (_, i) => i);
  const request = { params: ["conv1.weight", "conv2.weight"], data, examples, inputs: "sequential" } as const;
  const all = new Map<string, (readonly [number, number])[]>();
  for await (const { targets, chunks } of model.layerInputs(request, ctx)) {
    const { param, offset } = targets[0]!;
    const w = await model.read(param);
    const bias = offset!.bias === undefined ? undefined : (await model.read(offset!.bias)).data;
    const outputs: number[][] = Array.from({ length: w.rows }, () => []);
    for await (const { rows, cols, data: x } of chunks) {
      for (let i = 0; i < rows; i++) {
        for (let r = 0; r < w.rows; r++) {
          let sum = bias?.[r] ?? 0;
          for (let j = 0; j < cols; j++) sum += w.data[r * cols + j]! * x[i * cols + j]!;
          outputs[r]!.push(sum);
        }
      }
    }
    const own = outputs.map((values): [number, number] => {
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length];
    });
    all.set(param, own);
    const { mean, variance } = offset!.statistics!;
    if (!isMeasuring) continue;
    await model.write(
      mean,
      matrix(
        w.rows,
        1,
        Float64Array.from(own, ([value]) => value),
      ),
    );
    await model.write(
      variance,
      matrix(
        w.rows,
        1,
        Float64Array.from(own, ([, value]) => value),
      ),
    );
  }
  return all;
}

test("statistics of batch normalisations become those that a fresh pass over the pruned network measures", async () => {
  // By default layers are led to the dense outputs.
  for (const match of ["own", "dense", undefined] as const) {
    const model = createNetwork(normed, { seed: 2, dtype: "f64" });
    model.weights.get("conv1.bias")!.data.set([1, -1, 0.5, 2, 0, 3]);
    // Of the dense network on these examples.
    await measuredOutputs(model, true);
    let measured = 0;
    const recalibrate = async (): Promise<void> => void measured++;
    await pruneLayers({ ...requestOf(model), allocation: "uniform", ...(match ? { match } : {}), recalibrate }, ctx);
    expect(measured).toBe(1);
    expect([...model.weights.get("conv1.bias")!.data]).toEqual([1, -1, 0.5, 2, 0, 3]);
    for (const [param, outputs] of await measuredOutputs(model, false)) {
      // Behind the first layer inputs have changed, which only the dense inputs beside them tell.
      if (match === "own" && param !== "conv1.weight") continue;
      const norm = param === "conv1.weight" ? "bn1" : "bn2";
      outputs.forEach(([mean, variance], r) => {
        // Differences of sums of hundreds of f64 numbers.
        expect(model.weights.get(`${norm}.running_mean`)!.data[r]).toBeCloseTo(mean, 9);
        expect(model.weights.get(`${norm}.running_var`)!.data[r]).toBeCloseTo(variance, 8);
      });
    }
  }
});

test("where nothing is measured anew, statistics stay, and biases alone may be fitted", async () => {
  for (const offsets of ["none", "biases"] as const) {
    const model = createNetwork(normed, { seed: 2, dtype: "f64" });
    const before = new Map([...model.weights].map(([name, { data }]) => [name, [...data]]));
    await pruneLayers({ ...requestOf(model), offsets, allocation: "uniform" }, ctx);
    const changed = [...model.weights].filter(([name, { data }]) => data.some((v, i) => v !== before.get(name)![i]));
    const biases = offsets === "none" ? [] : ["conv1.bias", "fc.bias"];
    expect(new Set(changed.map(([name]) => name))).toEqual(
      new Set(["conv1.weight", "conv2.weight", "fc.weight", ...biases]),
    );
  }
});

test("an input far from 0 that hardly changes does no harm", async () => {
  const spec = mlp({ sizes: [6, 4, 3] });
  const rng = createRng("far");
  const numbers = Float64Array.from({ length: 360 }, (_, i) => rng.normal() + (i % 6 === 2 ? 2000 : 0));
  const labels = Uint32Array.from({ length: 60 }, (_, i) => i % 3);
  const data = arrayDataset({ inputs: matrix(60, 6, numbers), labels, classes: 3 });
  const lostBy = async (offsets: "none" | "biases", match: "own" | "dense"): Promise<number> => {
    const [model, dense] = [1, 1].map((seed) => createNetwork(spec, { seed, dtype: "f64" }));
    const request = { ...requestOf(model!), data, params: ["fc1.weight"], sparsity: 0.1, offsets, match };
    await pruneLayers({ ...request, allocation: "uniform" }, ctx);
    const [w, u] = [await model!.read("fc1.weight"), await dense!.read("fc1.weight")];
    const [b, c] = [await model!.read("fc1.bias"), await dense!.read("fc1.bias")];
    let lost = 0;
    for (let i = 0; i < 60; i++) {
      for (let r = 0; r < 4; r++) {
        let change = b.data[r]! - c.data[r]!;
        for (let k = 0; k < 6; k++) change += (w.data[r * 6 + k]! - u.data[r * 6 + k]!) * numbers[i * 6 + k]!;
        lost += change ** 2;
      }
    }
    return lost;
  };
  for (const match of ["own", "dense"] as const) {
    // Its bias can only help weights that were solved without it.
    expect(await lostBy("biases", match)).toBeLessThanOrEqual((await lostBy("none", match)) * (1 + 1e-9));
  }
});

test("biases of a grouped convolution are those of its groups' rows", async () => {
  const grouped: NetworkSpec = {
    name: "grouped",
    inputShape: [2, 5, 5],
    classes: 3,
    layers: [
      { kind: "conv2d", name: "conv", in: 2, out: 4, kernel: [3, 3], groups: 2 },
      { kind: "relu" },
      { kind: "flatten" },
      { kind: "dense", name: "fc", in: 36, out: 3 },
    ],
  };
  const model = createNetwork(grouped, { seed: 2, dtype: "f64" });
  const before = meansOf(await outputsOf(model));
  await pruneLayers({ ...requestOf(model), offsets: "biases", allocation: "uniform" }, ctx);
  expect([...model.weights.get("conv.bias")!.data].every((value) => value !== 0)).toBe(true);
  const fitted = [...model.weights.get("conv.bias")!.data];
  const fresh = createNetwork(grouped, { seed: 2, dtype: "f64" });
  const request = { model: fresh, params: ["conv.weight"], data: someData(grouped), isNormMeasured: false };
  const match = await biasMatcher(request, ctx);
  await fresh.write("conv.weight", await model.read("conv.weight"));
  await match!(ctx);
  // Both are b + (u - r)'m in f64, row by row.
  fitted.forEach((value, r) => void expect(value).toBeCloseTo(fresh.weights.get("conv.bias")!.data[r]!, 10));
  meansOf(await outputsOf(model)).forEach((mean, j) => void expect(mean).toBeCloseTo(before[j]!, 9));
});

test("what is to be fitted is one of three words", async () => {
  const model = createNetwork(chain, { seed: 4, dtype: "f64" });
  const request = { ...requestOf(model), offsets: "kept" as "none" };
  await expect(pruneLayers(request, ctx)).rejects.toMatchObject({ code: "ERR_OPTION" });
});

test("inputs less their means have none: DSnoT, whose swaps bring mean errors to 0, leaves Wanda's mask", async () => {
  const keptBy = async (solver: Solver, offsets: "none" | "biases"): Promise<number[]> => {
    const model = createNetwork(chain, { seed: 4, dtype: "f64" });
    await pruneLayers({ ...requestOf(model), solver, offsets, allocation: "uniform", inputs: "parallel" }, ctx);
    return (await Promise.all(names.map((name) => model.read(name)))).flatMap(({ data }) => [...data]);
  };
  expect(await keptBy(dsnot(), "biases")).toEqual(await keptBy(wanda(), "biases"));
  expect(await keptBy(dsnot(), "none")).not.toEqual(await keptBy(wanda(), "none"));
});

test("a curvature that comes without means leaves biases as they are", async () => {
  const model = createNetwork(chain, { seed: 4, dtype: "f64" });
  const inner = activations({ damping: 0 });
  const curvature: LayerCurvatureEstimator = {
    name: "without means",
    async *estimate(request, run) {
      for await (const layer of inner.estimate(request, run)) {
        const { means: _none, ...rest } = layer.curvature;
        yield { ...layer, curvature: rest };
      }
    },
  };
  const before = [...model.weights.get("fc2.bias")!.data];
  await pruneLayers({ ...requestOf(model), curvature, offsets: "biases", allocation: "uniform" }, ctx);
  expect([...model.weights.get("fc2.bias")!.data]).toEqual(before);
});

test("a choice among allocations, evolution and a failure leave no bias of a try behind", async () => {
  const model = createNetwork(chain, { seed: 4, dtype: "f64" });
  const biases = (): number[] => names.flatMap((name) => [...model.weights.get(name.replace("weight", "bias"))!.data]);
  const dense = new Map([...model.weights].map(([name, { data }]) => [name, data.slice()]));
  const putBack = (): void => {
    for (const [name, values] of dense) model.weights.get(name)!.data.set(values);
  };
  const request = { ...requestOf(model), offsets: "biases", heldOut: 10 } as const;
  const chosen = await pruneLayers({ ...request, allocation: "auto" }, ctx);
  const fitted = biases();
  putBack();
  const evolution = { generations: 1, offspring: 1 };
  const evolved = await pruneLayers({ ...request, allocation: "evolution", evolution }, ctx);
  // The one change is worse, so that both prune the same: the one after two whole tries, the other after solving all layers three times.
  expect(evolved.layers.map(({ nonzeros }) => nonzeros)).toEqual(chosen.layers.map(({ nonzeros }) => nonzeros));
  expect(biases()).toEqual(fitted);
  putBack();
  const untouched = biases();
  let solves = 0;
  const failing: Solver = {
    ...obc(),
    solve(problem, inner) {
      if (++solves > 2) throw new Error("no");
      return obc().solve(problem, inner);
    },
  };
  await expect(pruneLayers({ ...request, solver: failing, allocation: "uniform" }, ctx)).rejects.toThrow("no");
  expect(biases()).toEqual(untouched);
});

test("biases that follow from weights: the dense network's own come back, and other weights give the dense mean outputs", async () => {
  const model = createNetwork(chain, { seed: 4, dtype: "f64" });
  const data = someData(chain);
  const own = await Promise.all(names.map((name) => model.read(name.replace("weight", "bias"))));
  const means = meansOf(await outputsOf(model));
  const match = await biasMatcher({ model, params: names, data, isNormMeasured: false }, ctx);
  await match!(ctx);
  for (const [i, name] of names.entries()) {
    const { data: bias } = await model.read(name.replace("weight", "bias"));
    // b + W m - W m in f64.
    bias.forEach((value: number, r: number) => void expect(value).toBeCloseTo(own[i]!.data[r]!, 12));
  }
  for (const name of names) {
    const w = await model.read(name);
    await model.write(name, { ...w, data: w.data.map((value: number, i: number) => (i % 3 === 0 ? 0 : value)) });
  }
  await match!(ctx);
  meansOf(await outputsOf(model)).forEach((mean, j) => void expect(mean).toBeCloseTo(means[j]!, 9));
});

test("biases before batch normalisations that are measured anew are left alone, and nothing is measured where none is fitted", async () => {
  const params = ["conv1.weight", "conv2.weight"];
  const model = createNetwork(normed, { seed: 2, dtype: "f64" });
  const data = someData(normed);
  expect(await biasMatcher({ model, params, data, isNormMeasured: true }, ctx)).toBeUndefined();
  expect(await biasMatcher({ model, params, data, isNormMeasured: false }, ctx)).toBeDefined();
  const without = createNetwork(mlp({ sizes: [12, 8, 3], bias: false }), { seed: 2 });
  const request = { model: without, params: ["fc1.weight"], data: someData(chain), isNormMeasured: false };
  expect(await biasMatcher(request, ctx)).toBeUndefined();
});

/** The chain as a graph: a Gemm, then products with their biases added. */
function asGraph(network: Network): GraphModel {
  const tensor = (name: string, shape: readonly number[]) => {
    return { name, dtype: "f64", shape, data: network.weights.get(name)!.data as Float64Array };
  };
  const turned = (name: string, [out = 0, inputs = 0]: readonly number[]) => {
    const { data } = network.weights.get(name)!;
    const values = Float64Array.from(data, (_, i) => data[(i % out) * inputs + Math.floor(i / out)]!);
    return { name, dtype: "f64", shape: [inputs, out], data: values };
  };
  const node = (op: string, inputs: string[], output: string, attributes = {}) => {
    return { name: output, op, domain: "", inputs, outputs: [output], attributes };
  };
  const graph = {
    name: "chain",
    nodes: [
      node("Gemm", ["x", "fc1.weight", "fc1.bias"], "h1", { transB: 1 }),
      node("Relu", ["h1"], "a1"),
      node("MatMul", ["a1", "fc2.weight"], "p2"),
      node("Add", ["p2", "fc2.bias"], "h2"),
      node("Relu", ["h2"], "a2"),
      node("MatMul", ["a2", "fc3.weight"], "p3"),
      node("Add", ["fc3.bias", "p3"], "y"),
    ],
    initializers: [
      ...[tensor("fc1.weight", [10, 12]), tensor("fc1.bias", [10]), turned("fc2.weight", [8, 10])],
      ...[tensor("fc2.bias", [8]), turned("fc3.weight", [3, 8]), tensor("fc3.bias", [3])],
    ],
    inputs: [{ name: "x", dtype: "f64", shape: ["batch", 12] }],
    outputs: [{ name: "y", dtype: "f64", shape: ["batch", 3] }],
  };
  return createGraphModel({ graph, opsets: { "": 17 }, dtype: "f64" });
}

test("biases of a graph are fitted as those of a network are, and its blocks are led to the dense ones' outputs with the dense biases", async () => {
  const network = createNetwork(chain, { seed: 4, dtype: "f64" });
  const model = asGraph(network);
  const dense = asGraph(createNetwork(chain, { seed: 4, dtype: "f64" }));
  const request = { ...requestOf(network), offsets: "biases", allocation: "uniform" } as const;
  await pruneLayers({ ...request, model }, ctx);
  await pruneLayers(request, ctx);
  for (const name of [...names, "fc1.bias", "fc2.bias", "fc3.bias"]) {
    const own = network.weights.get(name)!.data;
    // Sums of 90 products in f64, in another order.
    (await model.read(name)).data.forEach((value: number, i: number) => void expect(value).toBeCloseTo(own[i]!, 8));
  }
  expect(model.changedOffsets().size).toBe(3);

  const targets: number[] = [];
  const expected: number[] = [];
  const spied = asGraph(createNetwork(chain, { seed: 4, dtype: "f64" }));
  const blocks = spied.blocks!;
  const watched = {
    ...spied,
    async blocks(asked: Parameters<typeof blocks>[0]) {
      const all = await blocks(asked);
      return all.map((block, b) => ({
        ...block,
        async distance(call: Parameters<typeof block.distance>[0], own: typeof ctx) {
          if (b === all.length - 1) {
            targets.push(...call.target);
            expected.push(...(await dense.run!(call.batch, ctx))["y"]!.data);
          }
          return await block.distance(call, own);
        },
      }));
    },
  };
  const { blocks: refitted } = await pruneLayers({ ...request, model: watched, blocks: { epochs: 1 } }, ctx);
  expect(refitted!.length).toBeGreaterThan(1);
  expect(targets.length).toBeGreaterThan(100);
  targets.forEach((value, i) => void expect(value).toBeCloseTo(expected[i]!, 9));
});

test("weights of an input that is constant but not 0 go first, and the bias takes over what they gave", async () => {
  const spec = mlp({ sizes: [6, 4, 3] });
  const rng = createRng("constant");
  const numbers = Float32Array.from({ length: 360 }, (_, i) => (i % 6 === 2 ? 37.3 : rng.normal() + 1000));
  const labels = Uint32Array.from({ length: 60 }, (_, i) => i % 3);
  const data = arrayDataset({ inputs: matrix(60, 6, numbers), labels, classes: 3 });
  const [model, dense] = [1, 1].map((seed) => createNetwork(spec, { seed }));
  const request = {
    ...requestOf(model!),
    data,
    params: ["fc1.weight"],
    offsets: "biases",
    allocation: "uniform",
  } as const;
  // Four of 24 weights: those of the constant.
  await pruneLayers({ ...request, sparsity: 4 / 24 }, ctx);
  const [w, u] = [await model!.read("fc1.weight"), await dense!.read("fc1.weight")];
  const [b, c] = [await model!.read("fc1.bias"), await dense!.read("fc1.bias")];
  for (let r = 0; r < 4; r++) {
    for (let j = 0; j < 6; j++) expect(w.data[r * 6 + j] === 0).toBe(j === 2);
    for (let i = 0; i < 60; i++) {
      let change = b.data[r]! - c.data[r]!;
      for (let j = 0; j < 6; j++) change += (w.data[r * 6 + j]! - u.data[r * 6 + j]!) * numbers[i * 6 + j]!;
      // Weights of about 1 in f32, times inputs of 1000.
      expect(Math.abs(change)).toBeLessThan(2e-3);
    }
  }
});
