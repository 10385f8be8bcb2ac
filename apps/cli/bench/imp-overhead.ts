/** What masks cost a step of training: dense and masked steps by turns in one process, so that load hits both alike. */
import { createRunContext, type Mask, sampleIndices, subset } from "@secateur/core";
import { architecture, constant, createNetwork, type Network, type NetworkSpec, train } from "@secateur/nn";
import type { BenchSetting } from "./imp-run.ts";
import { printLine } from "./print.ts";

const turns = 15;

/** Prints the ratio of masked to dense steps. */
export async function runOverhead({ kernels, data }: BenchSetting): Promise<void> {
  const ctx = createRunContext({ kernels });
  const part = subset(data.train, sampleIndices(data.train.size, 9600, ctx.rng));
  for (const [name, batchSize] of [
    ["mlpnet", 64],
    ["lenet300", 64],
  ] as const) {
    const spec: NetworkSpec = architecture(name);
    const masks = masksOf(createNetwork(spec, { seed: 0 }));
    const epoch = async (masked: boolean): Promise<number> => {
      const network = createNetwork(spec, { seed: 0 });
      const started = performance.now();
      await train(
        network,
        { data: part, epochs: 1, batchSize, learningRate: constant(0.01), ...(masked ? { masks } : {}) },
        createRunContext({ kernels }),
      );
      return performance.now() - started;
    };
    await epoch(false);
    await epoch(true);
    const ratios: number[] = [];
    let dense = Number.POSITIVE_INFINITY;
    for (let turn = 0; turn < turns; turn++) {
      const [first, second] = turn % 2 === 0 ? [false, true] : [true, false];
      const times = new Map([[first, await epoch(first)]]);
      times.set(second, await epoch(second));
      ratios.push(times.get(true)! / times.get(false)!);
      dense = Math.min(dense, times.get(false)!);
    }
    ratios.sort((a, b) => a - b);
    const median = ratios[Math.floor(turns / 2)]!;
    const steps = Math.ceil(part.size / batchSize);
    printLine(
      `${name}, batches of ${batchSize}: a masked step takes ${median.toFixed(3)} of a dense one (median of ${turns} pairs; quartiles ${ratios[3]!.toFixed(3)} and ${ratios[11]!.toFixed(3)}); dense ${((1000 * dense) / steps).toFixed(0)} µs a step at best`,
    );
  }
}

/** A random half of the weights, so that no branch is predictable. */
function masksOf(network: Network): ReadonlyMap<string, Mask> {
  const { rng } = createRunContext();
  return new Map(
    network
      .params()
      .filter(({ prunable }) => prunable)
      .map(({ name, rows, cols }) => [name, Uint8Array.from({ length: rows * cols }, () => rng.integer(2))]),
  );
}
