import { createWasmKernels } from "@secateur/backends-wasm";
import { createRng, createRunContext, type Kernels, type Mask, referenceKernels, tensorDataset } from "@secateur/core";
import { expect, test } from "vitest";
import { mlp } from "../graph/mlp.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { createNetwork, type Network } from "../network.ts";
import { constant } from "./learning-rate.ts";
import { type TrainOptions, train } from "./train.ts";
import type { TrainingState } from "./training-state.ts";

/** 41 examples, so that the last batch is smaller. */
function examples(features: number, shape: readonly number[] = [features]) {
  const rng = createRng("resident");
  const data = Float32Array.from({ length: 41 * features }, () => rng.normal());
  return tensorDataset({
    inputs: { input: { shape: [41, ...shape], data } },
    targets: { labels: { shape: [41], data: Uint32Array.from({ length: 41 }, (_, i) => i % 3) } },
    classes: { labels: 3 },
  });
}

const dense = mlp({ sizes: [6, 5, 3] });
const normed: NetworkSpec = {
  name: "normed",
  inputShape: [2, 5, 5],
  classes: 3,
  layers: [
    { kind: "conv2d", name: "c1", in: 2, out: 4, kernel: [3, 3], padding: 1, bias: false },
    { kind: "batch-norm", name: "n1", channels: 4 },
    { kind: "relu" },
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: 4, out: 3 },
  ],
};
const numbersOf = (network: Network) => network.tensors().map(({ data }) => [...data]);

test("after every epoch the network has the weights of the state that is told", async () => {
  const network = createNetwork(dense, { seed: 1 });
  const seen: number[][][] = [];
  await train(
    network,
    {
      ...{ data: examples(6), epochs: 3, batchSize: 8, learningRate: constant(0.05) },
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

test("where training ends within an epoch the network has the weights of the steps that were made", async () => {
  const [network, three] = [createNetwork(dense, { seed: 1 }), createNetwork(dense, { seed: 1 })];
  const options: TrainOptions = { data: examples(6), epochs: 1, batchSize: 8, learningRate: constant(0.05) };
  const stop = new AbortController();
  const onEvent = ({ type, done }: { type: string; done?: number }): void => {
    if (type === "progress" && done === 3) stop.abort();
  };
  const ctx = createRunContext({ kernels: referenceKernels, signal: stop.signal, onEvent: onEvent as never });
  await expect(train(network, options, ctx)).rejects.toMatchObject({ code: "ERR_ABORTED" });
  // The same three steps, and then none: a rate of 0 moves nothing.
  const learningRate = (step: number): number => (step < 3 ? 0.05 : 0);
  await train(three, { ...options, learningRate }, createRunContext({ kernels: referenceKernels }));
  expect(numbersOf(network)).toEqual(numbersOf(three));
});

test.each([
  ["dense layers", dense, examples(6)],
  ["convolutions with batch normalisation", normed, examples(50, [2, 5, 5])],
])(
  "in kernel memory %s train to the same bytes, by any threads, with masks, and from a state on",
  async (_, spec, data) => {
    const rng = createRng("masks");
    const masks = new Map(
      createNetwork(spec, { seed: 1 })
        .params()
        .filter(({ prunable }) => prunable)
        .map(({ name, rows, cols }): [string, Mask] => {
          return [name, Uint8Array.from({ length: rows * cols }, () => rng.integer(2))];
        }),
    );
    const trained = async (kernels: Kernels, options: Partial<TrainOptions>): Promise<number[][]> => {
      const network = createNetwork(spec, { seed: 1 });
      const settings = { data, epochs: 2, batchSize: 8, learningRate: constant(0.05), ...options };
      await train(network, settings, createRunContext({ kernels }));
      return numbersOf(network);
    };
    const [one, three] = [await createWasmKernels({ threads: 1 }), await createWasmKernels({ threads: 3 })];
    try {
      // Steps by loops; dense layers, whose products copy what lies elsewhere, on ordinary arrays (others leave those to kernels that round in another way).
      const { momentumStep: _, ...loops } = one;
      const outside: Kernels =
        spec === dense ? { ...loops, alloc: (length, dtype) => referenceKernels.alloc(length, dtype) } : loops;
      for (const options of [{}, { masks }, { optimizer: { kind: "adamw" as const } }]) {
        const expected = await trained(outside, options);
        expect(await trained(one, options)).toEqual(expected);
        expect(await trained(three, options)).toEqual(expected);
        let state: TrainingState | undefined;
        const onEpoch = (reached: TrainingState): "stop" => {
          state = reached;
          return "stop";
        };
        await trained(one, { ...options, onEpoch });
        expect(await trained(one, { ...options, resume: state! })).toEqual(expected);
      }
    } finally {
      await one.close();
      await three.close();
    }
  },
);

test("plain steps are taken by the kernel, once for every parameter", async () => {
  let calls = 0;
  const counted: Kernels = {
    ...referenceKernels,
    momentumStep(spec) {
      calls++;
      referenceKernels.momentumStep!(spec);
    },
  };
  const options = { data: examples(6), epochs: 2, batchSize: 8, learningRate: constant(0.05) };
  await train(createNetwork(dense, { seed: 1 }), options, createRunContext({ kernels: counted }));
  // Two layers with biases, six batches, two epochs.
  expect(calls).toBe(4 * 6 * 2);
});
