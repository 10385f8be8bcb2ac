import { createRunContext, layoutParams, PruneError, readFlat } from "@secateur/core";
import { createNetwork, mlp } from "@secateur/nn";
import { expect, test } from "vitest";
import { type FailedLayer, type LayerPruner, scanLayers } from "./scan-layers.ts";

const broken = () => new PruneError("ERR_SINGULAR", "cannot be solved", { fault: "runtime" });
const measured = {
  loss: 1,
  accuracy: 50,
  examples: 1,
  measures: [{ name: "accuracy", value: 50, unit: "%", better: "higher" }],
};

/** A scan of two layers at two sparsities, with a pruner that does what `at` says in each of the four calls. */
async function scan(at: (call: number) => void) {
  const network = createNetwork(mlp({ sizes: [4, 3, 2] }), { seed: 1 });
  const params = layoutParams(network);
  const weights = await readFlat(network, params);
  let calls = 0;
  const pruner: LayerPruner = {
    params,
    weights,
    async prune() {
      at(calls++);
      return new Float32Array(weights.length);
    },
  };
  const failures: FailedLayer[] = [];
  const found = scanLayers(
    {
      ...{ network, pruner, sparsities: [0.5, 0.8], onFailure: (failure) => failures.push(failure) },
      evaluate: async () => measured as never,
    },
    createRunContext({ seed: 0 }),
  );
  const result = await found.finally(async () => expect(await readFlat(network, params)).toEqual(weights));
  return { ...result, failures };
}

test("a layer that fails costs no other its result, and is told with its reason", async () => {
  const { layers, failed, failures, isInterrupted } = await scan((call) => {
    if (call === 1) throw broken();
  });
  expect(layers.map(({ measures }) => measures.map(({ sparsity }) => sparsity))).toEqual([[0.5], [0.5, 0.8]]);
  expect(failed).toEqual([{ layer: "fc1.weight", sparsity: 0.8, code: "ERR_SINGULAR", message: "cannot be solved" }]);
  expect([failures, isInterrupted]).toEqual([failed, false]);
});

test("an interrupt keeps what was measured before", async () => {
  const { layers, failed, isInterrupted } = await scan((call) => {
    if (call === 3) throw new PruneError("ERR_ABORTED", "interrupted", { fault: "runtime" });
  });
  expect(layers.map(({ measures }) => measures.length)).toEqual([2, 1]);
  expect([failed, isInterrupted]).toEqual([[], true]);
});

test("every layer starts from what belongs to the dense weights, also behind one that failed", async () => {
  const network = createNetwork(mlp({ sizes: [4, 3, 2] }), { seed: 1 });
  const params = layoutParams(network);
  const weights = await readFlat(network, params);
  // Stands for statistics of batch normalisation: "dense" until something measures them anew.
  let statistics = "dense";
  const seen: string[] = [];
  const pruner: LayerPruner = {
    params,
    weights,
    async prune([name]) {
      seen.push(`${name} from ${statistics}`);
      return new Float32Array(weights.length);
    },
  };
  const spec = {
    ...{ network, pruner, sparsities: [0.5], onFailure: () => {} },
    recalibrate: async () => {
      statistics = "pruned";
    },
    restore: () => {
      statistics = "dense";
    },
    evaluate: async () => {
      seen.push(`measured under ${statistics}`);
      if (seen.length === 2) throw broken();
      return measured as never;
    },
  };
  await scanLayers(spec, createRunContext({ seed: 0 }));
  expect(seen).toEqual([
    "fc1.weight from dense",
    "measured under pruned",
    "fc2.weight from dense",
    "measured under pruned",
  ]);
  expect(statistics).toBe("dense");
});

test("where nothing could be measured the first error is thrown, and what is no error of ours at once", async () => {
  const all = scan(() => {
    throw broken();
  });
  await expect(all).rejects.toThrow("cannot be solved");
  const defect = scan((call) => {
    if (call === 2) throw new TypeError("a defect");
  });
  await expect(defect).rejects.toThrow("a defect");
});
