import {
  arrayDataset,
  countKept,
  createRng,
  createRunContext,
  keptCount,
  matrix,
  type PruneRequest,
  prune,
  type RunState,
} from "@secateur/core";
import { activations } from "@secateur/fisher";
import { createNetwork, createRetrainer, mlp, type Network } from "@secateur/nn";
import { expect, test } from "vitest";
import { layerAllocations } from "../allocation/share-budget.ts";
import { obc } from "../methods/obc.ts";
import { wanda } from "../methods/wanda.ts";
import { layerLoop } from "./layer-loop.ts";
import { biasMatcher } from "./match-biases.ts";
import { pruneLayers } from "./prune-layers.ts";

const rng = createRng("layers");
const inputs = matrix(
  60,
  8,
  Float32Array.from({ length: 480 }, () => rng.normal()),
);
const data = arrayDataset({ inputs, labels: Array.from({ length: 60 }, (_, i) => i % 2) });
const newNetwork = (): Network => createNetwork(mlp({ sizes: [8, 6, 2] }), { seed: 3 });
const weightCount = 8 * 6 + 6 * 2;

const layered = (model: Network): PruneRequest => ({
  ...{ model, data, solver: obc(), seed: 1 },
  layers: { loop: layerLoop({ allocation: "uniform" }), curvature: activations() },
});

/** Two rounds of two stages each, with an epoch of training after each round. */
const inRounds = (model: Network): PruneRequest => ({
  ...layered(model),
  plan: { stages: 2, regrow: false },
  retrain: {
    retrainer: createRetrainer(model, { data, batchSize: 20 }),
    phases: [0.4, 0.7].map((sparsity) => ({
      sparsity,
      epochs: 1,
      rates: (steps) => new Float64Array(steps).fill(0.01),
    })),
    schedule: "constant",
  },
});

test("a stage over layers is what the loop does by itself, with the errors of the layers", async () => {
  const [one, other] = [newNetwork(), newNetwork()];
  const scope = { kind: "layers", inputs: "parallel" } as const;
  const result = await prune({ ...layered(one), sparsity: 0.6, scope });
  expect(result.schedule).toMatchObject([{ scope, prunes: true, sparsity: 0.6 }]);
  expect(result.schedule[0]!.curvature).toBeUndefined();
  const request = { model: other, data, solver: obc(), curvature: activations(), sparsity: 0.6, inputs: scope.inputs };
  const { layers } = await pruneLayers({ ...request, allocation: "uniform" }, createRunContext({ seed: 1 }));
  expect(one.tensors()).toEqual(other.tensors());
  expect(result.layers.map(({ relativeError }) => relativeError)).toEqual(layers.map((layer) => layer.relativeError));
});

test("layers are pruned in rounds with training, what is pruned stays pruned, and any state goes on to the same bytes", async () => {
  const network = newNetwork();
  const states: RunState[] = [];
  const whole = await prune({ ...inRounds(network), onState: (state) => void states.push(structuredClone(state)) });
  expect(whole.rounds!.map(({ kept }) => kept)).toEqual([0.4, 0.7].map((s) => keptCount(weightCount, s)));
  expect(whole.stages).toHaveLength(4);
  states.forEach(({ mask }, i) => {
    expect(mask.every((bit, j) => bit <= (states[i - 1]?.mask[j] ?? 1))).toBe(true);
  });
  expect(countKept(whole.mask)).toBe(whole.nonzeros);
  for (const resume of states) {
    const again = newNetwork();
    await prune({ ...inRounds(again), resume });
    expect(again.tensors()).toEqual(network.tensors());
  }
});

test("biases that follow from the weights are those of a run that is continued, too", async () => {
  const stagesOf = async (model: Network, more: Partial<PruneRequest> = {}): Promise<void> => {
    const params = ["fc1.weight", "fc2.weight"];
    const recalibrate = await biasMatcher({ model, params, data, isNormMeasured: false }, createRunContext());
    const loop = layerLoop({ allocation: "uniform", offsets: "biases" });
    const layers = { loop, curvature: activations() };
    await prune({ ...layered(model), layers, sparsity: 0.7, plan: { stages: 3 }, recalibrate: recalibrate!, ...more });
  };
  const network = newNetwork();
  const states: RunState[] = [];
  await stagesOf(network, { onState: (state) => void states.push(structuredClone(state)) });
  expect(network.weights.get("fc2.bias")).not.toEqual(newNetwork().weights.get("fc2.bias"));
  expect(states).toHaveLength(3);
  for (const resume of states) {
    const again = newNetwork();
    await stagesOf(again, { resume });
    expect(again.tensors()).toEqual(network.tensors());
  }
});

test("what a layer may not keep the others do, so that rounds of any rule keep their budget", async () => {
  for (const allocation of layerAllocations) {
    const model = createNetwork(mlp({ sizes: [8, 6, 2] }), { seed: 3 });
    const fewOfFirst = Uint8Array.from({ length: 48 }, (_, i) => (i < 8 ? 1 : 0));
    const eligible = new Map([["fc1.weight", fewOfFirst]]);
    const request = { model, data, solver: wanda(), curvature: activations(), sparsity: 0.75, eligible, allocation };
    const { nonzeros, layers } = await pruneLayers(request, createRunContext({ seed: 1 }));
    // Each rule alone would give the first layer more than 8 of the 15; the database knows what has gone, and what the rest is still worth.
    if (allocation === "loss-database") expect(layers[0]!.nonzeros).toBeLessThanOrEqual(8);
    else expect(layers[0]!.nonzeros).toBe(8);
    expect(nonzeros).toBe(keptCount(weightCount, 0.75));
  }
});

test("without a loop, without data and under another loop nothing runs", async () => {
  const model = newNetwork();
  const scope = { kind: "layers", inputs: "sequential" } as const;
  const { layers: _none, ...alone } = layered(model);
  await expect(prune({ ...alone, sparsity: 0.5, scope })).rejects.toThrow(/layers: \{ loop: layerLoop\(\)/);
  const { data: _no, ...blind } = layered(model);
  await expect(prune({ ...blind, sparsity: 0.5 })).rejects.toThrow(/needs calibration examples/);
  const states: RunState[] = [];
  await prune({ ...inRounds(newNetwork()), onState: (state) => void states.push(state) });
  const other = { loop: layerLoop({ allocation: "global" }), curvature: activations() };
  await expect(prune({ ...inRounds(model), layers: other, resume: states[0]! })).rejects.toMatchObject({
    code: "ERR_RESUME",
    message: expect.stringContaining("allocation was uniform and is global"),
  });
});
