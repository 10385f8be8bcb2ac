import {
  arrayDataset,
  countZeros,
  createRng,
  createRunContext,
  groupUnits,
  keepCount,
  matrix,
  type Problem,
  type RunEvent,
  type Solution,
  tensorDataset,
} from "@secateur/core";
import { activations } from "@secateur/fisher";
import { createGraphModel, type GraphModel, type GraphTensor } from "@secateur/graph";
import { createNetwork, mlp, type Network, type NetworkSpec } from "@secateur/nn";
import { expect, test } from "vitest";
import { layerwise } from "../methods/layerwise.ts";
import { obc } from "../methods/obc.ts";
import { wanda } from "../methods/wanda.ts";
import { readAll, writeAll } from "./parameters.ts";
import { pruneLayers } from "./prune-layers.ts";

/** Images whose neighbouring pixels are alike. */
function someData(spec: NetworkSpec, size = 120) {
  const features = spec.inputShape.reduce((product, extent) => product * extent, 1);
  const rng = createRng("images");
  const data = new Float64Array(size * features);
  for (let i = 1; i < data.length; i++) data[i] = 0.7 * data[i - 1]! + rng.normal();
  return arrayDataset({
    inputs: matrix(size, features, data),
    labels: Uint32Array.from({ length: size }, (_, i) => i % 3),
    classes: 3,
    inputShape: spec.inputShape,
  });
}

const chain = mlp({ sizes: [12, 10, 8, 3] });
const convolutional: NetworkSpec = {
  name: "grouped",
  inputShape: [2, 6, 6],
  classes: 3,
  layers: [
    { kind: "conv2d", name: "stem", in: 2, out: 4, kernel: [3, 3], padding: 1 },
    { kind: "relu" },
    { kind: "conv2d", name: "groups", in: 4, out: 6, kernel: [3, 3], groups: 2 },
    { kind: "relu" },
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: 6, out: 3, bias: true },
  ],
};

const outputsOf = async (model: Network): Promise<number[]> => {
  const batch = await someData(model.spec).batch(Uint32Array.from({ length: 120 }, (_, i) => i));
  return Object.values(await model.run(batch, createRunContext())).flatMap(({ data }) => [...data]);
};

const weightsOf = (network: Network): number[][] =>
  [...network.weights].filter(([name]) => name.endsWith(".weight")).map(([, { data }]) => [...data]);

test("the budget is met exactly over all layers, whatever the allocation, groups of convolutions included", async () => {
  for (const spec of [chain, convolutional]) {
    for (const allocation of ["uniform", "global", "owl", "auto"] as const) {
      const model = createNetwork(spec, { seed: 2, dtype: "f64" });
      const size = weightsOf(model).flat().length;
      const data = someData(spec);
      const request = { model, data, solver: obc(), curvature: activations(), sparsity: 0.6, allocation };
      const result = await pruneLayers(request, createRunContext());
      expect(result.size).toBe(size);
      expect(result.nonzeros).toBe(Math.floor(0.4 * size + 1e-9));
      expect(size - countZeros(Float64Array.from(weightsOf(model).flat()))).toBe(result.nonzeros);
    }
  }
});

test("the state of a GRU that resets it before the product is pruned in two parts, with what each of them sees", async () => {
  const hidden = 4;
  const rng = createRng("gru");
  const weight = (name: string, ...shape: number[]): GraphTensor => ({
    ...{ name, dtype: "f64", shape },
    data: Float64Array.from({ length: shape.reduce((size, extent) => size * extent, 1) }, () => 0.6 * rng.normal()),
  });
  const gru = { op: "GRU", domain: "", inputs: ["x", "W", "R"], outputs: ["y"], attributes: { hidden_size: hidden } };
  const graph = {
    ...{
      name: "sound",
      nodes: [
        { name: "turn", op: "Transpose", domain: "", inputs: ["in"], outputs: ["x"], attributes: { perm: [1, 0, 2] } },
        { name: "gru", ...gru },
      ],
    },
    initializers: [weight("W", 1, 3 * hidden, 3), weight("R", 1, 3 * hidden, hidden)],
    inputs: [{ name: "in", dtype: "f64", shape: ["n", 5, 3] }],
    outputs: [{ name: "y", dtype: "f64", shape: [5, 1, "n", hidden] }],
  };
  const open = (): GraphModel => createGraphModel({ graph, opsets: { "": 17 }, dtype: "f64" });
  const inputs = { shape: [40, 5, 3], data: Float64Array.from({ length: 600 }, () => rng.normal()) };
  const data = tensorDataset({ inputs: { in: inputs }, targets: {} });
  const batch = await data.batch(Uint32Array.from({ length: 40 }, (_, i) => i));
  const statesOf = async (model: GraphModel): Promise<number[]> => {
    const { y } = await model.run!(batch, createRunContext());
    return [...y!.data];
  };
  const dense = await statesOf(open());
  const lostBy = async (solver: ReturnType<typeof obc>): Promise<number> => {
    const model = open();
    const request = { model, data, solver, curvature: activations(), sparsity: 0.5, params: ["R"] };
    const { layers, nonzeros } = await pruneLayers({ ...request, allocation: "uniform" }, createRunContext());
    expect(layers.map(({ name, firstRow, rows, inputs: seen }) => [name, firstRow, rows, seen])).toEqual([
      ["R", 0, 2 * hidden, 200],
      ["R", 2 * hidden, hidden, 200],
    ]);
    expect(nonzeros).toBe((3 * hidden * hidden) / 2);
    return (await statesOf(model)).reduce((sum, value, i) => sum + (value - dense[i]!) ** 2, 0);
  };
  // Re-fitted weights of each part for its own inputs are nearer to the dense states than weights left as they were.
  expect(await lostBy(obc())).toBeLessThan(0.8 * (await lostBy(wanda())));
});

test("a pattern is met in every row of every layer", async () => {
  const model = createNetwork(chain, { seed: 2, dtype: "f64" });
  const request = { model, data: someData(chain), solver: layerwise(), curvature: activations(), sparsity: 0 };
  const { layers, allocation } = await pruneLayers({ ...request, pattern: { keep: 1, of: 2 } }, createRunContext());
  expect(allocation).toBe("pattern");
  for (const { rows, cols, nonzeros } of layers) expect(nonzeros).toBe((rows * cols) / 2);
});

test("sequential inputs leave the outputs nearer to the dense ones than parallel ones do", async () => {
  const change = async (inputs: "sequential" | "parallel"): Promise<number> => {
    const model = createNetwork(chain, { seed: 5, dtype: "f64" });
    const data = someData(chain);
    const before = await outputsOf(model);
    const request = { model, data, solver: layerwise(), curvature: activations(), sparsity: 0.6, inputs };
    await pruneLayers({ ...request, allocation: "uniform" }, createRunContext());
    const after = await outputsOf(model);
    return after.reduce((sum, value, i) => sum + (value - before[i]!) ** 2, 0);
  };
  // Measured on the calibration examples themselves.
  expect(await change("sequential")).toBeLessThan(await change("parallel"));
});

test("matching the dense model, the last layer's error is the distance of the outputs to the dense ones, and smaller", async () => {
  const change = async (match: "own" | "dense"): Promise<{ found: number; said: number }> => {
    const model = createNetwork(chain, { seed: 5, dtype: "f64" });
    const bias = model.weights.get("fc3.bias")!.data;
    const before = await outputsOf(model);
    const request = { model, data: someData(chain), solver: layerwise(), curvature: activations(), sparsity: 0.6 };
    const result = await pruneLayers({ ...request, allocation: "uniform", match }, createRunContext());
    const after = await outputsOf(model);
    const sum = (value: (i: number) => number): number => before.reduce((total, _, i) => total + value(i) ** 2, 0);
    const lost = sum((i) => after[i]! - before[i]!);
    return { found: lost / sum((i) => before[i]! - bias[i % 3]!), said: result.layers.at(-1)!.relativeError };
  };
  const [own, dense] = [await change("own"), await change("dense")];
  // Both are sums of 360 squares of f64.
  expect(dense.said).toBeCloseTo(dense.found, 9);
  expect(dense.found).toBeLessThan(own.found);
});

test("later stages are led to the first network, which layers are then told against", async () => {
  const fresh = (): Network => createNetwork(chain, { seed: 5, dtype: "f64" });
  const model = fresh();
  const bias = model.weights.get("fc3.bias")!.data;
  const before = await outputsOf(model);
  const ctx = createRunContext();
  const request = { model, data: someData(chain), solver: layerwise(), curvature: activations() };
  const lostBy = async (dense?: Network): Promise<{ found: number; said: number }> => {
    await writeAll(model, await readAll(fresh(), ["fc1.weight", "fc2.weight", "fc3.weight"]));
    await pruneLayers({ ...request, sparsity: 0.5, allocation: "uniform" }, ctx);
    const eligible = new Map(
      [...model.weights].flatMap(([name, { data }]) =>
        name.endsWith(".weight") ? [[name, Uint8Array.from(data, (value) => (value === 0 ? 0 : 1))] as const] : [],
      ),
    );
    const second = { ...request, sparsity: 0.7, allocation: "uniform" as const, eligible };
    const { layers } = await pruneLayers({ ...second, ...(dense ? { dense } : {}) }, ctx);
    const after = await outputsOf(model);
    const sum = (value: (i: number) => number): number => before.reduce((total, _, i) => total + value(i) ** 2, 0);
    const lost = sum((i) => after[i]! - before[i]!);
    return { found: lost / sum((i) => before[i]! - bias[i % 3]!), said: layers.at(-1)!.relativeError };
  };
  const [first, present] = [await lostBy(fresh()), await lostBy()];
  // Sums of 360 squares of f64.
  expect(first.said).toBeCloseTo(first.found, 9);
  expect(Math.abs(present.said - present.found)).toBeGreaterThan(1e-3);
  expect(first.found).toBeLessThan(present.found);
});

test("'auto' leaves the allocation of the smaller held-out error, and what that alone would have left", async () => {
  const model = createNetwork(chain, { seed: 5, dtype: "f64" });
  const common = { data: someData(chain), solver: obc(), curvature: activations(), sparsity: 0.7, heldOut: 20 };
  const found = await pruneLayers({ ...common, model }, createRunContext());
  const { uniform, global } = found.heldOutError!;
  expect(found.allocation).toBe(uniform! <= global! ? "uniform" : "global");
  expect(countZeros(Float64Array.from(weightsOf(model).flat()))).toBe(found.size - found.nonzeros);
});

test("'auto' takes inputs twice, once to decide by drafts and once to solve, and once more for each draft where H is not written out", async () => {
  const model = createNetwork(chain, { seed: 5, dtype: "f64" });
  const { solve, draft } = layerwise();
  for (const [isKept, passes] of [
    [true, 2],
    [false, 4],
  ] as const) {
    const calls = { estimate: 0, solve: 0, draft: 0 };
    const estimator = activations();
    const curvature: typeof estimator = {
      ...estimator,
      async *estimate(request, ctx) {
        calls.estimate++;
        for await (const layer of estimator.estimate(request, ctx)) {
          const { gram: _, ...implicit } = layer.curvature;
          yield isKept ? layer : { ...layer, curvature: implicit };
        }
      },
    };
    const counted = (name: "solve" | "draft", method: typeof solve): typeof solve => {
      return (problem, ctx) => {
        calls[name]++;
        return method(problem, ctx);
      };
    };
    const solver = {
      ...{ needs: {}, solve: counted("solve", solve) },
      draft: { needs: {}, solve: counted("draft", draft!.solve) },
    };
    const before = weightsOf(model);
    const request = { model, data: someData(chain), solver, curvature, sparsity: 0.7, match: "own" } as const;
    const found = await pruneLayers(request, createRunContext());
    expect(calls).toEqual({ estimate: passes, solve: 3, draft: 6 });
    const { uniform, global } = found.heldOutError!;
    expect(found.allocation).toBe(uniform! <= global! ? "uniform" : "global");
    expect(weightsOf(model)).not.toEqual(before);
  }
});

test("a budget of rows that is spent on rows without weights is said", async () => {
  const model = createNetwork(chain, { seed: 5, dtype: "f64" });
  model.weights.get("fc1.weight")!.data.fill(0, 12, 36);
  const notes: string[] = [];
  const ctx = createRunContext({ onEvent: (event) => event.type === "note" && notes.push(event.message) });
  const limitOf = ({ rows, cols }: { rows: number; cols: number }) => ({
    units: groupUnits({
      size: rows * cols,
      groups: Array.from({ length: rows }, (_, r) => Uint32Array.from({ length: cols }, (_, j) => r * cols + j)),
    }),
    constraint: keepCount({ count: rows, keep: rows - 3 }),
  });
  const request = { model, data: someData(chain), solver: layerwise(), curvature: activations(), sparsity: 0, limitOf };
  await pruneLayers({ ...request, params: ["fc1.weight", "fc2.weight"] }, ctx);
  expect(notes.filter((message) => message.includes("all zeros before"))).toEqual([
    "fc1.weight: 2 of the 3 groups of weights that go were all zeros before; a higher sparsity takes more of the others",
  ]);
});

test("a pattern that does not divide the inputs of a row keeps its share of the rest, and says so once", async () => {
  const model = createNetwork(chain, { seed: 5, dtype: "f64" });
  const notes: string[] = [];
  const ctx = createRunContext({ onEvent: (event) => event.type === "note" && notes.push(event.message) });
  const request = { model, data: someData(chain), solver: obc(), curvature: activations(), sparsity: 0 };
  await pruneLayers({ ...request, pattern: { keep: 2, of: 5 } }, ctx);
  // Rows of 12, 10 and 8 inputs.
  expect(notes.filter((message) => message.includes("no multiple"))).toEqual([
    "fc1.weight: its 12 inputs are no multiple of 5; of the last 2 of a row 2 stay",
    "fc3.weight: its 8 inputs are no multiple of 5; of the last 3 of a row 2 stay",
  ]);
  const last = [...model.weights.get("fc3.weight")!.data].slice(0, 8);
  expect([countZeros(Float64Array.from(last.slice(0, 5))), countZeros(Float64Array.from(last.slice(5)))]).toEqual([
    3, 1,
  ]);
});

test("holding out as many examples as there are is refused before anything is pruned", async () => {
  const model = createNetwork(chain, { seed: 5, dtype: "f64" });
  const before = weightsOf(model);
  const common = { model, data: someData(chain), solver: obc(), curvature: activations(), sparsity: 0.5, examples: 10 };
  for (const heldOut of [0, 10, 11, 2.5]) {
    await expect(pruneLayers({ ...common, heldOut }, createRunContext())).rejects.toMatchObject({
      code: "ERR_IMPOSSIBLE",
      message: expect.stringContaining("10 calibration examples"),
    });
  }
  await expect(pruneLayers({ ...common, examples: 1 }, createRunContext())).rejects.toMatchObject({
    code: "ERR_IMPOSSIBLE",
    message: expect.stringContaining("1 calibration example"),
  });
  expect(weightsOf(model)).toEqual(before);
});

test("what depends on the weights is measured anew after the last layer", async () => {
  const model = createNetwork(chain, { seed: 5, dtype: "f64" });
  let calls = 0;
  const recalibrate = async (): Promise<void> => {
    calls++;
    expect(countZeros(model.weights.get("fc3.weight")!.data)).toBeGreaterThan(0);
  };
  const request = { model, data: someData(chain), solver: wanda(), curvature: activations(), sparsity: 0.5 };
  await pruneLayers({ ...request, allocation: "uniform", recalibrate }, createRunContext());
  expect(calls).toBe(1);
});

test("the same request gives the same bytes, and few examples are said", async () => {
  const events: RunEvent[] = [];
  const run = async (): Promise<number[][]> => {
    const model = createNetwork(chain, { seed: 5, dtype: "f64" });
    const request = { model, data: someData(chain), solver: layerwise(), curvature: activations(), sparsity: 0.5 };
    await pruneLayers(
      { ...request, examples: 10 },
      createRunContext({ seed: 3, onEvent: (event) => events.push(event) }),
    );
    return weightsOf(model);
  };
  const first = await run();
  const told = events.flatMap((event) => (event.type === "note" ? [`${event.code}: ${event.message}`] : []));
  expect(await run()).toEqual(first);
  // Of the passes over all layers that "auto" takes one is told of: once for each of the two layers that 9 examples are too few for.
  expect(told.filter((note) => note.startsWith("calibration-rank"))).toHaveLength(2);
  expect(new Set(told).size).toBe(told.length);
});

test("a solver that keeps more than its layer's budget is refused by name, and the model is as it was", async () => {
  const model = createNetwork(chain, { seed: 2, dtype: "f64" });
  const before = weightsOf(model);
  const greedy = { ...obc(), name: "greedy", solve: wholeLayer };
  const request = {
    model,
    data: someData(chain),
    curvature: activations(),
    sparsity: 0.5,
    allocation: "uniform",
  } as const;
  await expect(pruneLayers({ ...request, solver: greedy }, createRunContext())).rejects.toThrow(
    /^greedy: .*the mask keeps no more than the budget/,
  );
  expect(weightsOf(model)).toEqual(before);
});

/** Prunes nothing. */
async function wholeLayer({ w, units }: Problem): Promise<Solution> {
  return { w, mask: new Uint8Array(units.count).fill(1), objective: 0, status: "exact", stats: {} };
}

test("layers of parallel inputs that are solved at a time give what they give one by one, notes in order, whichever is ready first", async () => {
  const data = someData(convolutional);
  const run = async (atOnce: number) => {
    const model = createNetwork(convolutional, { seed: 2, dtype: "f64" });
    const messages: string[] = [];
    const onEvent = (event: RunEvent): void => void (event.type === "note" && messages.push(event.message));
    const { solve, ...rest } = obc();
    let turn = 0;
    let open = (): void => {};
    const third = new Promise<void>((resolve) => {
      open = resolve;
    });
    const solver = {
      ...rest,
      async solve(...given: Parameters<typeof solve>): Promise<Solution> {
        const own = turn++;
        // Were they not under way together, this would never end.
        if (atOnce > 1 && own < 2) await third;
        given[1].report({ type: "note", level: "info", code: `own ${given[0].id}`, message: given[0].id });
        const solution = await solve(...given);
        if (own === 2) open();
        return solution;
      },
    };
    // What it lends is gone when the next is asked for.
    const lending: ReturnType<typeof activations> = {
      name: "lending",
      async *estimate(asked, ctx) {
        for await (const given of activations().estimate(asked, ctx)) {
          yield given;
          given.curvature.gram!().data.fill(Number.NaN);
        }
      },
    };
    const request = {
      model,
      data,
      solver,
      curvature: lending,
      sparsity: 0.5,
      inputs: "parallel",
      atOnce,
    } as const;
    const { layers, nonzeros } = await pruneLayers(
      { ...request, allocation: "uniform" },
      createRunContext({ onEvent }),
    );
    const found = layers.map(({ name, firstRow, nonzeros: own, relativeError }) => ({
      name,
      firstRow,
      own,
      relativeError,
    }));
    return { found, nonzeros, messages, weights: weightsOf(model) };
  };
  expect(await run(3)).toEqual(await run(1));
});
