import { describe, expect, test } from "vitest";
import { arrayDataset, inputRows } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { identityCurvature } from "../problem/curvature.ts";
import { selectorFrom, solverFrom } from "../problem/lift.ts";
import { matrix } from "../problem/matrix.ts";
import { objective } from "../problem/objective.ts";
import type { Solver } from "../problem/strategy.ts";
import type { CurvatureEstimator } from "./curvature-estimator.ts";
import { type PruneRequest, prune } from "./prune.ts";

const data = arrayDataset({
  inputs: matrix(
    10,
    1,
    Float32Array.from({ length: 10 }, (_, i) => i),
  ),
  labels: new Uint8Array(10),
  classes: 1,
});
const bySize: Solver = solverFrom(selectorFrom({ needs: {}, score: ({ w }) => w.data.map(Math.abs) }));

/** Two layers in a row, y = b a x with one number each way: the output is constant once a layer is empty. */
function chain(
  a: readonly number[],
  b: readonly number[],
  loss: (w: Float32Array) => number,
): Model & { w: Float32Array } {
  const w = Float32Array.of(...a, ...b);
  const layers = new Map([
    ["a", w.subarray(0, a.length)],
    ["b", w.subarray(a.length)],
  ]);
  const through = (layer: string): number => layers.get(layer)!.reduce((sum, value) => sum + value, 0);
  return {
    name: "chain",
    inputs: [{ name: "input", shape: [1], dtype: "f32" }],
    outputs: [{ name: "output", shape: [1], dtype: "f32" }],
    w,
    params: () =>
      [...layers].map(([name, { length: cols }]) => ({
        ...{ name, shape: [1, cols], rows: 1, cols, prunable: true, flopsPerWeight: 2 },
      })),
    read: async (name) => matrix(1, layers.get(name)!.length, layers.get(name)!.slice()),
    write: async (name, { data: values }) => layers.get(name)!.set(values),
    evaluate: async ({ size }) => ({ loss: loss(w), examples: size, accuracy: 0, task: "mine", measures: [] }),
    async run(batch) {
      const data = inputRows(batch).data.map((x) => x * through("a") * through("b"));
      return { output: { shape: [batch.size, 1], data } };
    },
  };
}

const codes = async (request: PruneRequest): Promise<readonly string[]> =>
  (await prune(request)).notes.map(({ code }) => code);

describe("after a run", () => {
  test("the loss before and after is in the result, and a large growth is a warning", async () => {
    // Half a unit of loss for every weight that is gone; without any it is 2.
    const loss = (w: Float32Array): number => 0.1 + 0.5 * w.filter((value) => value === 0).length;
    const request = { model: chain([1, 2], [3, 4], loss), solver: bySize, data };
    const far = await prune({ ...request, sparsity: 0.5 });
    expect(far.loss).toEqual({ before: 0.1, after: 1.1, examples: 2, isHeldOut: true });
    expect(far.notes.find(({ code }) => code === "loss-grew")?.message).toMatch(
      /grew from 0.100 to 1.10, and without .* 2.10/,
    );
    const near = await prune({ ...request, model: chain([1, 2], [3, 4], loss), sparsity: 0.25 });
    expect(near.notes).toEqual([]);
  });

  test("a layer without weights is named, and whether the output still depends on the input", async () => {
    const model = chain([0.1, 0.2], [3, 4], () => 1);
    const { notes } = await prune({ model, solver: bySize, data, sparsity: 0.5 });
    expect(notes).toMatchObject([{ code: "layer-emptied", level: "warn" }]);
    expect(notes[0]!.message).toMatch(
      /'a' has no weight left, so the output no longer depends on the input.*--layer-limit NAME/,
    );
    const around = {
      ...chain([0.1, 0.2], [3, 4], () => 1),
      run: async () => ({ output: { shape: [2, 1], data: Float32Array.of(1, 2) } }),
    };
    const { notes: other } = await prune({ model: around, solver: bySize, data, sparsity: 0.5 });
    expect(other[0]!.message).toMatch(/nothing passes through there/);
  });

  test("layers whose sizes say nothing about each other are named, and why one of them was emptied", async () => {
    const { notes } = await prune({ model: chain([1, 2], [3e30, 4e30], () => 1), solver: bySize, data, sparsity: 0.5 });
    expect(notes.map(({ code }) => code)).toEqual(["uneven-scales", "layer-emptied"]);
    expect(notes[0]!.message).toMatch(/'b' has weights up to 4.0e\+30, and 'a' none above 2.0:/);
    expect(notes[1]!.message).toMatch(/'a' has no weight left \(the weights of 'b' are 2.0e\+30 times as large/);
    const tiny = await codes({
      model: chain([1e-30, 2e-30], [3e-30, 4e-30], () => 1),
      solver: bySize,
      data,
      sparsity: 0.25,
    });
    expect(tiny).toContain("tiny-weights");
    const usual = await codes({ model: chain([1, 2], [3000, 4000], () => 1), solver: bySize, data, sparsity: 0.25 });
    expect(usual).toEqual([]);
  });

  test("a network that gives the same output for everything is told with every solver", async () => {
    const constant = {
      ...chain([1, 2], [3, 4], () => 1),
      run: async () => ({ output: { shape: [2, 1], data: Float32Array.of(1, 1) } }),
    };
    expect(await codes({ model: constant, solver: bySize, data, sparsity: 0.25 })).toEqual(["constant-outputs"]);
  });

  test("a network that is sparser than asked for keeps its sparsity, which is said and reported", async () => {
    const model = chain([0, 2, 0, 0], [3, 0, 0, 0], () => 1);
    const result = await prune({ model, solver: bySize, data, sparsity: 0.5 });
    expect(result).toMatchObject({ sparsity: 0.75, kept: 2, nonzeros: 2 });
    expect([...model.w]).toEqual([0, 2, 0, 0, 3, 0, 0, 0]);
    expect(result.notes).toMatchObject([{ code: "input-sparser" }]);
    // A mask says that the zeros are kept weights.
    expect(await codes({ model, solver: bySize, data, sparsity: 0.5, mask: new Uint8Array(8).fill(1) })).toEqual([]);
  });

  test("a network of zeros has nothing to prune", async () => {
    const model = chain([0, 0], [0, 0], () => 1);
    const result = await prune({ model, solver: bySize, data, sparsity: 0.5 });
    expect(result).toMatchObject({ sparsity: 1, kept: 0, objective: 0, stages: [] });
  });
});

describe("a run in stages", () => {
  /** Adds 1 to every kept weight at every stage. */
  const growing: Solver = {
    name: "growing",
    needs: { curvature: ["apply"] },
    async solve(problem, ctx) {
      const { mask } = await bySize.solve(problem, ctx);
      const w = { ...problem.w, data: problem.w.data.map((value, j) => mask[j]! * (value + 1)) };
      return { w, mask, objective: await objective(problem, w), status: "exact", stats: {} };
    },
  };
  const curvature: CurvatureEstimator = {
    name: "identity",
    provides: ["diagonal", "apply"],
    estimate: async ({ data: sample }) => ({
      curvature: () => identityCurvature(4),
      ...{ ridgeIsAutomatic: false, sample, loss: 1, chosen: { examples: 1, batch: 1, ridge: 1 }, release() {} },
    }),
  };

  test("that ends worse than its mask over the original weights ends with those", async () => {
    // Each stage by itself lowers the loss from where it is, the first one by little: the original weights have the lowest.
    const loss = (w: Float32Array): number => (w[3] === 4 ? 0.5 : 10 - w[3]!);
    const model = chain([1, 2], [3, 4], loss);
    const worse = {
      ...model,
      evaluate: async ({ size }: { size: number }) => ({
        loss: loss(model.w),
        examples: size,
        accuracy: 0,
        task: "mine",
        measures: [],
      }),
    };
    const plan = { stages: 2, schedule: "linear" as const, from: 0.25 };
    const request = { solver: growing, curvature, data, sparsity: 0.5, plan };
    const { taken, notes, stages } = await prune({ ...request, model: worse });
    expect(stages.map((stage) => stage.taken)).toEqual(["mask", "mask"]);
    expect([taken, [...model.w]]).toEqual(["mask", [0, 0, 3, 4]]);
    expect(notes.map(({ code }) => code)).toContain("mask-alone");
  });

  test("whose weights are those of its mask alone is compared with the largest magnitudes all the same", async () => {
    // Keeps the smallest, and nothing but the largest of all lowers the loss.
    const smallest: Solver = {
      ...solverFrom(selectorFrom({ needs: { curvature: ["apply"] }, score: ({ w }) => w.data.map((v) => 10 - v) })),
      name: "smallest",
    };
    const loss = (w: Float32Array): number => (w[2] === 3 && w[3] === 4 && w[0] === 0 ? 0.5 : 1);
    for (const stages of [1, 2]) {
      const model = chain([1, 2], [3, 4], loss);
      const plan = { stages, tryMagnitude: true, schedule: "linear" as const, from: stages === 1 ? 0 : 0.25 };
      const { taken, notes } = await prune({ model, solver: smallest, curvature, data, sparsity: 0.5, plan });
      expect([taken, [...model.w]]).toEqual(["magnitude", [0, 0, 3, 4]]);
      expect(notes.map(({ code }) => code)).toContain("magnitude-mask");
    }
  });

  test("refuses a solver that breaks a rule by its name and leaves the model as it was", async () => {
    const model = chain([1, 2], [3, 4], () => 1);
    const broken: Solver = {
      ...bySize,
      name: "broken",
      solve: async (problem, ctx) => ({ ...(await bySize.solve(problem, ctx)), mask: new Uint8Array(3) }),
    };
    await expect(prune({ model, solver: broken, data, sparsity: 0.5 })).rejects.toThrow(/^broken: .*3 entries/);
    expect([...model.w]).toEqual([1, 2, 3, 4]);
  });

  test("under a curvature of zeros goes by magnitude and says so", async () => {
    const zero: CurvatureEstimator = {
      ...curvature,
      estimate: async (request, ctx) => ({
        ...(await curvature.estimate(request, ctx)),
        curvature: () => ({ dim: 4, diagonal: () => new Float64Array(4), apply: (_x, out) => void out.fill(0) }),
        chosen: { examples: 1, batch: 1, ridge: 0 },
      }),
    };
    const model = chain([1, -5], [3, 4], () => 1);
    const { notes } = await prune({ model, solver: growing, curvature: zero, data, sparsity: 0.5 });
    expect(notes.map(({ code }) => code)).toContain("curvature-zero");
    expect([...model.w].map((value) => value !== 0)).toEqual([false, true, false, true]);
  });
});
