import {
  arrayDataset,
  createMoments,
  createRng,
  createRunContext,
  keptPlaces,
  type Mask,
  matrix,
  type OptimizerSpec,
  type RetrainingState,
  stepParam,
} from "@secateur/core";
import { expect, test } from "vitest";
import { mlp } from "../graph/mlp.ts";
import { createNetwork, type Network } from "../network.ts";
import { createRetrainer } from "./retrainer.ts";

const rng = createRng(1);
const inputs = matrix(
  50,
  6,
  Float32Array.from({ length: 300 }, () => rng.normal()),
);
const data = arrayDataset({ inputs, labels: Array.from({ length: 50 }, (_, i) => (inputs.data[6 * i]! > 0 ? 1 : 0)) });
const ctx = createRunContext();
const fresh = (): Network => createNetwork(mlp({ sizes: [6, 5, 2] }), { seed: 3 });
const half: Mask = Uint8Array.from({ length: 30 }, (_, j) => j % 2);
const masks = new Map([["fc1.weight", half]]);
const at = (state: RetrainingState, name: string) => state.tensors.find((tensor) => tensor.name === name)!.data;

test("a masked step moves kept weights exactly as a step followed by the mask would", () => {
  for (const spec of [
    { kind: "sgd", momentum: 0.9, nesterov: true },
    { kind: "adamw" },
    { kind: "adam" },
  ] as const satisfies readonly OptimizerSpec[]) {
    const start = Float32Array.from({ length: 30 }, (_, j) => (half[j] === 1 ? j - 10 : 0));
    const mats = [start.slice(), start.slice()].map((values) => matrix(5, 6, values));
    const moments = mats.map((w) => createMoments(spec, new Map([["w", w]]), ["w"]));
    for (let step = 0; step < 50; step++) {
      const g = matrix(
        5,
        6,
        Float32Array.from({ length: 30 }, () => rng.normal()),
      );
      mats.forEach((w, i) => {
        const kept = i === 0 ? keptPlaces(half) : undefined;
        stepParam(spec, { w, g, moments: moments[i]!, name: "w", rate: 0.01, step, decay: 0.1, kept });
      });
      mats[1]!.data.forEach((value, j) => {
        mats[1]!.data[j] = half[j] === 1 ? value : 0;
      });
      for (const moment of moments[1]!.values()) {
        const { data: values } = moment.get("w")!;
        values.forEach((value, j) => {
          values[j] = half[j] === 1 ? value : 0;
        });
      }
    }
    expect(mats[0]!.data).toEqual(mats[1]!.data);
    expect(moments[0]).toEqual(moments[1]);
  }
});

test("a retrainer goes on from the state of an epoch to the same bytes", async () => {
  const whole = fresh();
  const states: RetrainingState[] = [];
  const request = { epochs: 4, learningRate: (step: number) => 0.1 / (step + 1), masks };
  const end = await createRetrainer(whole, { data, batchSize: 8 }).retrain(
    {
      ...request,
      onEpoch: (state) => {
        states.push(state);
        return "go on";
      },
    },
    ctx,
  );
  expect(end).toEqual(states[3]);
  for (const state of states) {
    const other = createNetwork(mlp({ sizes: [6, 5, 2] }), { seed: 77 });
    const resumed = await createRetrainer(other, { data, batchSize: 8 }).retrain({ ...request, resume: state }, ctx);
    expect(other.tensors()).toEqual(whole.tensors());
    expect(resumed.epochs).toEqual(end.epochs);
  }
});

test("a retrainer stops where it is told to", async () => {
  const { epochs } = await createRetrainer(fresh(), { data }).retrain(
    { epochs: 9, learningRate: () => 0.1, masks, onEpoch: ({ epoch }) => (epoch === 2 ? "stop" : "go on") },
    ctx,
  );
  expect(epochs).toHaveLength(2);
});

test("a retrainer takes over the optimizer's memory of an earlier training, but not of pruned weights", async () => {
  const network = fresh();
  const retrainer = createRetrainer(network, { data, batchSize: 8 });
  const before = await retrainer.retrain({ epochs: 1, learningRate: () => 0.1, masks: new Map() }, ctx);
  // A rate of 0 leaves the weights where they are, so the velocity alone tells what was taken over.
  const next = await retrainer.retrain({ epochs: 0, learningRate: () => 0, masks, after: before }, ctx);
  expect(next.epochs).toEqual([]);
  const moved = fresh();
  const other = createRetrainer(moved, { data, batchSize: 50 });
  const velocity = (state: RetrainingState) => at(state, "optimizer.velocity/fc1.weight");
  const zeroRate = { epochs: 1, learningRate: () => 0, masks };
  const plain = await other.retrain(zeroRate, ctx);
  const after = await createRetrainer(moved, { data, batchSize: 50 }).retrain({ ...zeroRate, after: before }, ctx);
  velocity(after).forEach((value, j) => {
    if (half[j] === 0) expect(value).toBe(0);
    // One step: v = 0.9 v0 + g, and g is that of the plain run, which went over masked weights all the same. f32 sums.
    else expect(value - velocity(plain)[j]!).toBeCloseTo(0.9 * velocity(before)[j]!, 6);
  });
});

test("a retrainer puts captured tensors back, and refuses those of another network", () => {
  const network = fresh();
  const retrainer = createRetrainer(network, { data });
  const start = retrainer.capture();
  network.weights.get("fc1.weight")!.data.fill(7);
  retrainer.restore(start);
  expect(network.tensors()).toEqual(start);
  expect(() => retrainer.restore(start.slice(1))).toThrow(/fc1.weight/);
});
