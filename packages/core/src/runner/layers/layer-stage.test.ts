/** What the runner makes of the results of a loop over layers: two layers of four weights, pruned by a loop that is told what to return. */
import { expect, test } from "vitest";
import { arrayDataset } from "../../data/dataset.ts";
import type { Model } from "../../data/model.ts";
import { selectorFrom, solverFrom } from "../../problem/lift.ts";
import { matrix } from "../../problem/matrix.ts";
import type { SolveStatus } from "../../problem/problem.ts";
import { type PruneRequest, prune } from "../prune.ts";

const data = arrayDataset({ inputs: matrix(5, 1), labels: new Uint8Array(5), classes: 1 });
const solver = {
  ...solverFrom(selectorFrom({ needs: {}, score: ({ w }) => w.data.map(Math.abs) })),
  ...{ name: "by-size", scope: "layers" as const },
};

function twoLayers(): Model & { readonly layers: ReadonlyMap<string, Float32Array> } {
  const layers = new Map(["a.weight", "b.weight"].map((name) => [name, Float32Array.of(1, 2, 3, 4)]));
  return {
    ...{ name: "two", inputs: [], outputs: [], layers },
    params: () =>
      [...layers.keys()].map((name) => ({ name, shape: [2, 2], rows: 2, cols: 2, prunable: true, flopsPerWeight: 2 })),
    read: async (name) => matrix(2, 2, layers.get(name)!.slice()),
    write: async (name, w) => layers.get(name)!.set(w.data),
  };
}

interface Outcome {
  readonly weights: readonly number[];
  readonly mask: readonly number[];
  readonly status: SolveStatus;
  readonly method?: string;
}

/** A run over layers whose loop leaves given weights; each layer is one group, or two of one row. */
function run(model: ReturnType<typeof twoLayers>, outcomes: readonly Outcome[]): PruneRequest {
  const perParam = outcomes.length / 2;
  return {
    ...{ model, data, solver, sparsity: 0.5 },
    layers: {
      curvature: { name: "none", estimate: async function* () {} },
      loop: {
        settings: {},
        async prune(_request, ctx) {
          const layers = outcomes.map(({ weights, mask, ...ended }, i) => {
            const [name, firstRow] = [[...model.layers.keys()][Math.floor(i / perParam)]!, i % perParam];
            model.layers.get(name)!.set(weights, 2 * firstRow);
            const numbers = { relativeError: 0.25, maskedError: 0.5, inputs: 5, solveMs: 1, stats: {} };
            const place = { name, firstRow, rows: 2 / perParam, cols: 2, nonzeros: 1 };
            return { ...place, ...numbers, ...ended, mask: Uint8Array.from(mask) };
          });
          ctx.report({ type: "note", level: "warn", code: "raised", message: "a solver had to raise its damping" });
          return { layers, examples: 5 };
        },
      },
    },
  };
}

test("how the solvers of layers ended, by which method and with which notes stands in the result", async () => {
  const model = twoLayers();
  const result = await prune(
    run(model, [
      { weights: [0, 0, 3, 4], mask: [0, 0, 1, 1], status: "exact", method: "path" },
      { weights: [0, 5, 0, 4], mask: [0, 1, 0, 1], status: "max-iterations", method: "row space" },
    ]),
  );
  expect(result.stages).toMatchObject([{ status: "max-iterations", method: "path, row space" }]);
  expect(result.layers).toMatchObject([
    { name: "a.weight", status: "exact", method: "path" },
    { name: "b.weight", status: "max-iterations", method: "row space" },
  ]);
  expect(result.notes.map(({ code }) => code)).toEqual(["raised"]);
});

test("of the groups of one parameter the one that ended worst counts", async () => {
  const model = twoLayers();
  const one = { weights: [0, 2], mask: [0, 1], status: "converged" } as const;
  const result = await prune(run(model, [one, { ...one, status: "stalled" }, one, one]));
  expect(result.stages[0]!.status).toBe("stalled");
  expect(result.layers.map(({ status }) => status)).toEqual(["stalled", "converged"]);
  expect(result.stages[0]!.method).toBeUndefined();
});

test("a kept weight that happens to be 0 is kept all the same", async () => {
  const model = twoLayers();
  const half = { weights: [0, 0, 0, 4], mask: [0, 0, 1, 1], status: "exact" } as const;
  const result = await prune(run(model, [half, { ...half, weights: [0, 0, 3, 4] }]));
  expect([...result.mask]).toEqual([0, 0, 1, 1, 0, 0, 1, 1]);
  expect(result).toMatchObject({ kept: 4, nonzeros: 3 });
});

test.each([
  ["a weight where its mask is 0", { weights: [1, 0, 3, 4], mask: [0, 0, 1, 1] }, /what is pruned is zero/],
  [
    "more than may stay, of which some are 0",
    { weights: [0, 0, 3, 4], mask: [0, 1, 1, 1] },
    /no more weights are left/,
  ],
])("a loop that leaves %s is refused, and the weights are put back", async (_what, wrong, says) => {
  const model = twoLayers();
  const right = { weights: [0, 0, 3, 4], mask: [0, 0, 1, 1], status: "exact" } as const;
  await expect(prune(run(model, [right, { ...wrong, status: "exact" }]))).rejects.toThrow(says);
  for (const weights of model.layers.values()) expect([...weights]).toEqual([1, 2, 3, 4]);
});
