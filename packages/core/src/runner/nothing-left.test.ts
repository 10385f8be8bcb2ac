import { expect, test } from "vitest";
import { keepCount } from "../budget/constraint.ts";
import { weightUnits } from "../budget/units.ts";
import type { Model } from "../data/model.ts";
import { referenceKernels } from "../kernels/reference-kernels.ts";
import { layoutParams, readFlat } from "../problem/flat-weights.ts";
import { matrix } from "../problem/matrix.ts";
import { createRunContext } from "../run-context.ts";
import { classification } from "../task/losses/classification.ts";
import { finishRun } from "./finish-run.ts";

/** Ends a run of one stage, without data, that left these weights. */
async function finished(weightsOf: (dense: Float32Array) => Float32Array) {
  const w = Float32Array.of(1, -2, 3, -4, 5, -6);
  const model: Model = {
    ...{ name: "layer", inputs: [], outputs: [] },
    params: () => [{ name: "a.weight", shape: [2, 3], rows: 2, cols: 3, prunable: true, flopsPerWeight: 2 }],
    read: async () => matrix(2, 3, w.slice()),
    write: async (_name, { data }) => w.set(data),
  };
  const params = layoutParams(model);
  const dense = await readFlat(model, params);
  const weights = weightsOf(dense);
  const maskOf = (values: Float32Array) => Uint8Array.from(values, (value) => Number(value !== 0));
  return await finishRun(
    {
      ...{
        model,
        params,
        task: classification(),
        isHeldOut: false,
        stages: 1,
        hasMetMask: true,
        triesMagnitude: false,
      },
      dense: { weights: dense, mask: maskOf(dense) },
      last: { weights, mask: maskOf(weights) },
      units: weightUnits(dense.length),
      constraint: keepCount({ count: dense.length, keep: 1, kernels: referenceKernels }),
    },
    createRunContext(),
  );
}

test("a run that leaves no weight at all is refused, one that leaves a single one is not", async () => {
  await expect(finished((dense) => new Float32Array(dense.length))).rejects.toThrow(
    /no weight is left.*raise the limit/,
  );
  const one = await finished((dense) => dense.map((value, j) => (j === 2 ? value : 0)));
  expect([...one.mask]).toEqual([0, 0, 1, 0, 0, 0]);
});
