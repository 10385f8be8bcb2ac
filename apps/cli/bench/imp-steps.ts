/**
 * What a step of training takes under masks, as a share of a dense one: processor time, the least of several epochs that are taken in turn
 * in one process, so that other work on the machine hits all alike. Random masks over every weight that may be pruned, random data.
 */
import process from "node:process";
import {
  arrayDataset,
  createRng,
  createRunContext,
  type Dataset,
  type Kernels,
  type Mask,
  matrix,
} from "@secateur/core";
import { architecture, constant, createNetwork, type Network, type NetworkSpec, train } from "@secateur/nn";
import { printTable, showProgress } from "./print.ts";

const networks = ["mlpnet", "lenet300", "lenet5", "resnet20"] as const;
const sparsities = [0, 0.5, 0.8, 0.9, 0.95, 0.98] as const;
const batchSize = 64;
const turns = 5;
/** Steps of a turn: so many that what engines compile and collect beside them, which counts as processor time, is a small part. */
const stepsOf = { mlpnet: 1000, lenet300: 200, lenet5: 100, resnet20: 10 } as const;

/** Prints, for each network, milliseconds of a dense step and how many times faster masked steps are. */
export async function runSteps(kernels: Kernels): Promise<void> {
  const rows: string[][] = [];
  for (const name of networks) {
    const spec: NetworkSpec = architecture(name);
    const steps = stepsOf[name];
    const data = randomData(spec, steps * batchSize);
    const least = new Map<number, number>();
    for (let turn = 0; turn <= turns; turn++) {
      for (const sparsity of sparsities) {
        showProgress(`${name} ${sparsity}, turn ${turn}`);
        const ms = await stepMs(spec, { sparsity, data, kernels, steps });
        // The first turn compiles.
        if (turn > 0) least.set(sparsity, Math.min(ms, least.get(sparsity) ?? Number.POSITIVE_INFINITY));
      }
    }
    const dense = least.get(0)!;
    rows.push([name, dense.toFixed(2), ...sparsities.slice(1).map((s) => (dense / least.get(s)!).toFixed(2))]);
  }
  printTable(["network", "dense ms a step", ...sparsities.slice(1).map((s) => `${100 * s} %, times faster`)], rows);
}

/** Processor time of a step. */
async function stepMs(
  spec: NetworkSpec,
  run: { sparsity: number; data: Dataset; kernels: Kernels; steps: number },
): Promise<number> {
  const { sparsity, data, kernels, steps } = run;
  const network = createNetwork(spec, { seed: 0 });
  const masks = sparsity === 0 ? {} : { masks: masksOf(network, sparsity) };
  const started = process.cpuUsage();
  await train(
    network,
    { data, epochs: 1, batchSize, learningRate: constant(0.01), ...masks },
    createRunContext({ kernels }),
  );
  const { user, system } = process.cpuUsage(started);
  return (user + system) / 1000 / steps;
}

function randomData({ inputShape, classes }: NetworkSpec, size: number): Dataset {
  const rng = createRng(0);
  const features = inputShape.reduce((product, extent) => product * extent, 1);
  const inputs = Float32Array.from({ length: size * features }, () => rng.normal());
  const labels = Uint32Array.from({ length: size }, (_, i) => i % classes);
  return arrayDataset({ inputs: matrix(size, features, inputs), inputShape, labels, classes });
}

function masksOf(network: Network, sparsity: number): ReadonlyMap<string, Mask> {
  const rng = createRng(1);
  return new Map(
    network
      .params()
      .filter(({ prunable }) => prunable)
      .map(({ name, rows, cols }) => [
        name,
        Uint8Array.from({ length: rows * cols }, () => (rng.next() < sparsity ? 0 : 1)),
      ]),
  );
}
