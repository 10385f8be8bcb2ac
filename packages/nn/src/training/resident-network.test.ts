import { createRng, createRunContext, type Kernels, matrix, referenceKernels, tensorDataset } from "@secateur/core";
import { expect, test } from "vitest";
import { mlp } from "../graph/mlp.ts";
import { createNetwork } from "../network.ts";
import { constant } from "./learning-rate.ts";
import { train } from "./train.ts";

const rng = createRng("resident");
const inputs = matrix(
  40,
  6,
  Float32Array.from({ length: 240 }, () => rng.normal()),
);
const data = tensorDataset({
  inputs: { input: { shape: [40, 6], data: inputs.data } },
  targets: { labels: { shape: [40], data: Uint32Array.from({ length: 40 }, (_, i) => i % 3) } },
  classes: { labels: 3 },
});
const fresh = () => createNetwork(mlp({ sizes: [6, 5, 3] }), { seed: 1 });
const numbersOf = (network: ReturnType<typeof fresh>) => network.tensors().map(({ data }) => [...data]);

test("after every epoch the network has the weights of the state that is told", async () => {
  const network = fresh();
  const seen: number[][][] = [];
  await train(
    network,
    {
      ...{ data, epochs: 3, batchSize: 8, learningRate: constant(0.05) },
      onEpoch(state) {
        seen.push(numbersOf(network));
        const told = state.tensors.filter(({ name }) => !name.startsWith("optimizer."));
        expect(told.map(({ data }) => [...data])).toEqual(seen.at(-1));
      },
    },
    createRunContext({ kernels: referenceKernels }),
  );
  expect(seen).toHaveLength(3);
  expect(seen[0]).not.toEqual(seen[1]);
  expect(numbersOf(network)).toEqual(seen[2]);
});

test("where training ends early the network has what it had become", async () => {
  const [network, whole] = [fresh(), fresh()];
  const before = numbersOf(network);
  const stop = new AbortController();
  const options = { data, epochs: 1, batchSize: 8, learningRate: constant(0.05) };
  const kernels: Kernels = referenceKernels;
  const onEvent = ({ type, done }: { type: string; done?: number }): void => {
    if (type === "progress" && done === 3) stop.abort();
  };
  const ctx = createRunContext({ kernels, signal: stop.signal, onEvent: onEvent as never });
  await expect(train(network, options, ctx)).rejects.toMatchObject({ code: "ERR_ABORTED" });
  expect(numbersOf(network)).not.toEqual(before);
  await train(whole, options, createRunContext({ kernels }));
  expect(numbersOf(network)).not.toEqual(numbersOf(whole));
});

test("steps by a kernel and steps by loops give the same bytes", async () => {
  const { momentumStep: _, ...withoutSteps } = referenceKernels;
  const [network, other] = [fresh(), fresh()];
  const options = { data, epochs: 2, batchSize: 8, learningRate: constant(0.05) };
  let calls = 0;
  const counted: Kernels = {
    ...referenceKernels,
    momentumStep(spec) {
      calls++;
      referenceKernels.momentumStep!(spec);
    },
  };
  await train(network, options, createRunContext({ kernels: counted }));
  await train(other, options, createRunContext({ kernels: withoutSteps }));
  // Two layers with biases, five batches, two epochs.
  expect(calls).toBe(4 * 5 * 2);
  expect(numbersOf(network)).toEqual(numbersOf(other));
});
