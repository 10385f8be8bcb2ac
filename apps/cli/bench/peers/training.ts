/** Training beside torch: images a second of plain SGD with momentum, batches of 64 random images, everything dense. */
import { createWasmKernels } from "@secateur/backends-wasm";
import { arrayDataset, createRng, createRunContext, type Dataset, matrix } from "@secateur/core";
import { architecture, constant, createNetwork, type NetworkSpec, train } from "@secateur/nn";
import { decimals, printLine, printTable, showProgress } from "../print.ts";
import type { Python } from "./python.ts";

const batchSize = 64;
const steps = { mlpnet: 400, resnet20: 10 } as const;
const turns = 3;

/** Prints a row for each network and number of threads. */
export async function compareTraining({ python }: { python: Python }): Promise<void> {
  const hasTorch = python.has("torch");
  if (!hasTorch) printLine("left out: torch (not installed)");
  const rows: (string | undefined)[][] = [];
  for (const name of ["mlpnet", "resnet20"] as const) {
    for (const threads of [1, 2]) {
      showProgress(`${name}, ${threads} threads`);
      const ours = await imagesPerSecond({ name, threads });
      const args = ["train", name, `${threads}`, `${batchSize}`, `${steps[name]}`];
      const [line] = hasTorch ? await python.call(args, threads) : [];
      const theirs = line?.["imagesPerSecond"] as number | undefined;
      rows.push([name, `${threads}`, decimals(ours, 0), decimals(theirs, 0), decimals(theirs && ours / theirs, 2)]);
    }
  }
  printTable(["network", "threads", "images / s", "torch", "ours / torch"], rows);
}

async function imagesPerSecond({ name, threads }: { name: keyof typeof steps; threads: number }): Promise<number> {
  const spec = architecture(name);
  const data = randomImages(spec, steps[name] * batchSize);
  const kernels = await createWasmKernels({ threads });
  try {
    const network = createNetwork(spec, { seed: 0 });
    let best = Number.POSITIVE_INFINITY;
    // The first turn compiles.
    for (let turn = 0; turn <= turns; turn++) {
      const started = performance.now();
      const options = { data, epochs: 1, batchSize, learningRate: constant(0.01) };
      await train(network, options, createRunContext({ kernels }));
      if (turn > 0) best = Math.min(best, performance.now() - started);
    }
    return (1000 * data.size) / best;
  } finally {
    await kernels.close();
  }
}

function randomImages({ inputShape, classes }: NetworkSpec, examples: number): Dataset {
  const features = inputShape.reduce((product, extent) => product * extent, 1);
  const rng = createRng("images");
  const inputs = matrix(
    examples,
    features,
    Float32Array.from({ length: examples * features }, () => rng.normal()),
  );
  return arrayDataset({ inputs, inputShape, labels: Array.from({ length: examples }, (_, i) => i % classes), classes });
}
