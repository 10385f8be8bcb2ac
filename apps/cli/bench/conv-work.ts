/** One piece of work on ResNet20 with random weights and images, in a process of its own: `node conv-work.ts WORK THREADS IMAGES`. */
import process from "node:process";
import { createWasmKernels } from "@secateur/backends-wasm";
import { createRng, createRunContext, type Dataset, inputName, labelName, layoutParams } from "@secateur/core";
import { architecture, createNetwork, train } from "@secateur/nn";

/** What conv.bench.ts can ask for. */
export type ConvWork = (typeof works)[number];
/** In the order they are measured. */
export const works = ["forward", "forward + backward", "rows of 16", "training"] as const;

/** What it took. */
export interface ConvTimes {
  readonly seconds: number;
  /** Of all threads: what other work on the machine disturbs least. Threads that wait for each other count, too. */
  readonly cpuSeconds: number;
}

const pixels = 3 * 32 * 32;

if (process.argv[1] === import.meta.filename) {
  const [work, threads, images] = process.argv.slice(2);
  process.stdout.write(JSON.stringify(await run(work as ConvWork, Number(threads), Number(images))));
}

async function run(work: ConvWork, threads: number, images: number): Promise<ConvTimes> {
  const kernels = await createWasmKernels({ threads });
  const ctx = createRunContext({ kernels });
  const network = createNetwork(architecture("resnet20"));
  const params = layoutParams(network).map(({ name }) => name);
  const once = async (count: number): Promise<void> => {
    const data = randomImages(count);
    const examples = Uint32Array.from({ length: count }, (_, i) => i);
    if (work === "forward") await network.evaluate(data, ctx);
    else if (work === "forward + backward") await network.meanGradient({ params, data, examples }, ctx);
    else if (work === "rows of 16") await network.gradientRows({ params, data, examples, batch: 16 }, ctx);
    else await train(network, { data, epochs: 1 }, ctx);
  };
  // The engine compiles its fast code during the first calls.
  await once(Math.min(images, 160));
  const [started, before] = [performance.now(), process.cpuUsage()];
  await once(images);
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - started) / 1000;
  await kernels.close();
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}

/** Images are drawn when they are asked for, a few at a time: what is measured is the network. */
function randomImages(size: number): Dataset {
  const rng = createRng("images");
  const bank = Float32Array.from({ length: 64 * pixels }, () => rng.normal());
  return {
    name: "random images",
    size,
    inputs: [{ name: inputName, shape: [3, 32, 32], dtype: "f32" }],
    targets: [{ name: labelName, shape: [], dtype: "u32", classes: 10 }],
    batch(indices) {
      const inputs = new Float32Array(indices.length * pixels);
      indices.forEach((index, i) => {
        inputs.set(bank.subarray((index % 64) * pixels, ((index % 64) + 1) * pixels), i * pixels);
      });
      return {
        size: indices.length,
        inputs: { [inputName]: { shape: [indices.length, 3, 32, 32], data: inputs } },
        targets: { [labelName]: { shape: [indices.length], data: indices.map((index) => index % 10) } },
      };
    },
  };
}
