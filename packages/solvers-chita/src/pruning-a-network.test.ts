import {
  arrayDataset,
  type Budget,
  type CurvatureEstimator,
  countKept,
  createRng,
  createRunContext,
  type Dataset,
  keptCount,
  matrix,
  type PruneRequest,
  type PruneResult,
  prune,
  type RunEvent,
  type RunState,
  type Solver,
  selectorFrom,
  solverFrom,
} from "@secateur/core";
import { estimators as byName, empiricalFisher, gaussNewton } from "@secateur/fisher";
import { createNetwork, mlp, type Network, train } from "@secateur/nn";
import { beforeAll, describe, expect, test } from "vitest";
import { chita } from "./chita.ts";
import { chitaBlock, chitaBso, chitaCd, chitaIht } from "./published/named-solvers.ts";

const ctx = createRunContext({ seed: 1 });
const spec = mlp({ sizes: [16, 16, 10, 4] });
const prunable = 16 * 16 + 16 * 10 + 10 * 4;

/** Four classes, told apart by the signs of two sums of features; an eighth of the features say nothing. */
function drawData(size: number, label: string): Dataset {
  const rng = createRng(label);
  const inputs = matrix(
    size,
    16,
    Float32Array.from({ length: size * 16 }, () => rng.normal()),
  );
  const labels = Array.from({ length: size }, (_, i) => {
    const x = inputs.data.subarray(i * 16, (i + 1) * 16);
    let [a, b] = [0, 0];
    for (let j = 0; j < 7; j++) {
      a += x[j]!;
      b += x[j + 7]!;
    }
    return (a > 0 ? 1 : 0) + (Math.abs(b) > 1.8 ? 2 : 0);
  });
  return arrayDataset({ inputs, labels, classes: 4, name: label });
}

const training = drawData(500, "training");
const held = drawData(1000, "held out");
const dense = createNetwork(spec, { seed: 5 });
const copy = (): Network => createNetwork(spec, { weights: dense.tensors() });
const accuracyOf = async (network: Network): Promise<number> => (await network.evaluate(held, ctx)).accuracy;
const lossOf = async (network: Network): Promise<number> => (await network.evaluate(held, ctx)).loss;
const magnitude: Solver = solverFrom(selectorFrom({ needs: {}, score: ({ w }) => w.data.map(Math.abs) }));

async function pruned(request: Partial<PruneRequest>): Promise<PruneResult & { network: Network; accuracy: number }> {
  const network = copy();
  const result = await prune({
    model: network,
    solver: chita(),
    data: training,
    curvature: gaussNewton(),
    seed: 1,
    ...request,
  });
  return { ...result, network, accuracy: await accuracyOf(network) };
}

beforeAll(async () => {
  await train(dense, { data: training, epochs: 40 }, ctx);
});

describe("chita prunes a trained network", () => {
  test.each([0.8, 0.9])(
    "to exactly %d with its own plan, and keeps far more accuracy than magnitude does",
    async (sparsity) => {
      const { network, accuracy, kept, nonzeros, mask, stages, plan } = await pruned({ sparsity });
      const keep = keptCount(prunable, sparsity);
      expect([kept, nonzeros, countKept(mask)]).toEqual([keep, keep, keep]);
      expect(stages).toHaveLength(plan.stages + plan.targetStages);
      const zeros = network.tensors().reduce((sum, { name, data }) => {
        return sum + (name.endsWith(".weight") ? data.filter((value) => value === 0).length : 0);
      }, 0);
      expect(zeros).toBe(prunable - keep);
      // Biases are not pruned, and not touched.
      expect(network.weights.get("fc1.bias")).toEqual(dense.weights.get("fc1.bias"));
      const byMagnitude = copy();
      await prune({ model: byMagnitude, solver: magnitude, sparsity });
      // 36 and 56 points here.
      expect(accuracy - (await accuracyOf(byMagnitude))).toBeGreaterThan(25);
    },
  );

  test("with the curvature that its plan names, taken from the estimators of fisher", async () => {
    const named = await pruned({ sparsity: 0.8, curvature: byName });
    expect(named.plan.curvature).toBe("gauss-newton");
    expect(named.network.tensors()).toEqual((await pruned({ sparsity: 0.8 })).network.tensors());
  });

  test("and says which package to add where no curvature is given", async () => {
    const call = prune({ model: copy(), data: training, solver: chita(), sparsity: 0.8 });
    await expect(call).rejects.toThrow(
      /^chita takes the curvature 'gauss-newton' and none was given; npm install @secateur\/fisher, .*curvature: estimators/,
    );
    await expect(
      prune({ model: copy(), data: training, solver: chita(), sparsity: 0.8, curvature: {} }),
    ).rejects.toThrow(/there is no curvature 'gauss-newton'/);
  });

  test("and says of magnitude no setting that only gradients use", async () => {
    const { plan } = await prune({ model: copy(), data: training, solver: magnitude, sparsity: 0.8 });
    expect(Object.keys(plan).sort()).toEqual(["from", "reason", "regrow", "schedule", "stages", "targetStages"]);
  });

  test("on an empirical Fisher with a certified bound at every stage", async () => {
    const { stages, kept } = await pruned({
      sparsity: 0.8,
      // A ridge of its own: a far larger one makes steps so small that f32 weights round them away.
      curvature: empiricalFisher({ examples: 120, ridge: 0.01 }),
      plan: { stages: 4 },
    });
    expect(kept).toBe(keptCount(prunable, 0.8));
    const steps = stages.filter(({ taken }) => taken === "step");
    expect(steps.length).toBeGreaterThan(1);
    for (const { objective, stats } of steps) {
      // f32 weights: the bound errs by their rounding.
      expect(stats["lowerBound"]).toBeLessThanOrEqual(objective + 1e-6 * Math.abs(objective));
    }
  });

  test.each<[string, Budget, (kept: Uint8Array) => void]>([
    [
      "operations",
      { limits: [{ kind: "flops", amount: 0.3 }] },
      (kept) => expect(countKept(kept)).toBe(Math.floor(0.3 * prunable)),
    ],
    [
      "two of every four",
      { units: [{ match: "*", units: { kind: "of-every", keep: 2, of: 4 } }] },
      (kept) => {
        for (let j = 0; j < 256; j += 4) expect(countKept(kept.subarray(j, j + 4))).toBe(2);
      },
    ],
    [
      "blocks of one by four in the first layer",
      {
        limits: [{ kind: "weights", amount: 0.4 }],
        units: [{ match: "fc1.*", units: { kind: "blocks", rows: 1, cols: 4 } }],
      },
      (kept) => {
        expect(countKept(kept)).toBeLessThanOrEqual(0.4 * prunable);
        for (let j = 0; j < 256; j += 4) expect(countKept(kept.subarray(j, j + 4)) % 4).toBe(0);
      },
    ],
  ])("under a budget of %s, better than magnitude does", async (_words, budget, check) => {
    const { mask, network, stages } = await pruned({ budget, plan: { stages: 3, targetStages: 1 } });
    check(mask);
    expect(stages).toHaveLength(4);
    const byMagnitude = copy();
    check((await prune({ model: byMagnitude, solver: magnitude, budget })).mask);
    expect(await lossOf(network)).toBeLessThan(await lossOf(byMagnitude));
  });

  test("with every part of it by name, at exactly the sparsity", async () => {
    for (const solver of [chitaIht(), chitaCd(), chitaBso(), chitaBlock({ blockSize: 100 })]) {
      for (const firstOrder of [false, true]) {
        const plan = { firstOrder, examples: 80 };
        const { kept, nonzeros, stages } = await pruned({ sparsity: 0.7, solver, curvature: empiricalFisher(), plan });
        expect([kept, nonzeros]).toEqual([keptCount(prunable, 0.7), keptCount(prunable, 0.7)]);
        expect(Number.isFinite(stages[0]!.objective)).toBe(true);
      }
    }
  });
});

const estimators: Readonly<Record<string, CurvatureEstimator>> = {
  "gauss-newton": gaussNewton({ examples: 150 }),
  "empirical-fisher": empiricalFisher({ examples: 60 }),
};

describe.each(Object.entries(estimators))("a staged run on %s curvature", (_name, curvature) => {
  const request = { sparsity: 0.85, curvature, plan: { stages: 5 } };

  test("resumed after any stage gives the same bytes, and the same seed gives them again", async () => {
    const states: RunState[] = [];
    const whole = await pruned({ ...request, onState: (state) => void states.push(state) });
    expect(states).toHaveLength(5);
    for (const resume of states.slice(0, -1)) {
      const resumed = await pruned({ ...request, resume });
      expect(resumed.network.tensors()).toEqual(whole.network.tensors());
      expect(resumed.stages.map(({ objective }) => objective)).toEqual(whole.stages.map(({ objective }) => objective));
    }
    expect((await pruned({ ...request, seed: 2 })).network.tensors()).not.toEqual(whole.network.tensors());
  });

  test("rises to the target and stays there, keeping exactly what each stage's sparsity says", async () => {
    const { stages } = await pruned(request);
    const rising = stages.map(({ sparsity }) => sparsity);
    expect(rising).toEqual([...rising].sort((a, b) => a - b));
    expect(rising.at(-1)).toBe(0.85);
    for (const { sparsity, nonzeros } of stages) expect(nonzeros).toBe(keptCount(prunable, sparsity));
  });

  test("without regrowth never brings a weight back, with it does", async () => {
    const returned = async (regrow: boolean): Promise<number> => {
      const masks: Uint8Array[] = [];
      const onState = ({ mask }: RunState): void => void masks.push(mask);
      await pruned({ ...request, plan: { ...request.plan, regrow }, onState });
      return masks.slice(1).reduce((sum, mask, i) => sum + mask.filter((bit, j) => bit > masks[i]![j]!).length, 0);
    };
    expect(await returned(false)).toBe(0);
    // On the empirical Fisher it may come back wherever that lowers Q, and need not.
    if (curvature.name === "gauss-newton") expect(await returned(true)).toBeGreaterThan(0);
  });

  test("stops when it is aborted, inside a stage", async () => {
    const controller = new AbortController();
    let solving = 0;
    const onEvent = (event: RunEvent): void => {
      if (event.type === "progress" && event.task === "solve" && ++solving === 4) controller.abort();
    };
    await expect(pruned({ ...request, signal: controller.signal, onEvent })).rejects.toMatchObject({
      code: "ERR_ABORTED",
    });
    expect(solving).toBe(4);
  });
});
