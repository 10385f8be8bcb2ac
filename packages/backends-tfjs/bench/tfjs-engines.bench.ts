/** What gradients of a convolutional model cost on each engine: one training step's, and gradient rows for pruning. */
import process from "node:process";
import { createWasmKernels } from "@secateur/backends-wasm";
import { createRunContext } from "@secateur/core";
import { openDataset } from "@secateur/datasets";
import type { EngineName } from "../src/engines.ts";
import { tfjsModel } from "../src/tfjs-model.ts";
import { convolutionalModel } from "./mnist-models.ts";
import { startEngine } from "./start-engine.ts";

const examples = 64;
const { train } = await openDataset("mnist");
const kernels = await createWasmKernels({ threads: 1 });
const ctx = createRunContext({ kernels });
const chosen = Uint32Array.from({ length: examples }, (_, i) => i);

/** Processor time of the fastest of some runs, in milliseconds: other work on the machine does not count. */
async function fastest(runs: number, work: () => Promise<void>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run <= runs; run++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    if (run > 0) best = Math.min(best, (user + system) / 1000); // the first run warms up
  }
  return best;
}

async function measure(engine: EngineName): Promise<{ step: number; rows: number }> {
  const { tf } = await startEngine(engine);
  tf.enableProdMode();
  const model = convolutionalModel(tf);
  const adapted = await tfjsModel({ tf, model });
  const params = adapted.params().flatMap(({ name, prunable }) => (prunable ? [name] : []));
  const mean = await fastest(3, async () => {
    await adapted.meanGradient({ params, data: train, examples: chosen }, ctx);
  });
  const rows = await fastest(3, async () => {
    const { blocks } = await adapted.gradientRows({ params, data: train, examples: chosen, batch: 1 }, ctx);
    for (const block of blocks) {
      for (const { data } of block.kind === "dense" ? [block.rows] : [block.delta, block.input]) kernels.free(data);
    }
  });
  adapted.dispose();
  return { step: mean, rows };
}

process.stdout.write(`${examples} images, 97,516 weights; processor milliseconds\n`);
process.stdout.write("engine   mean gradient   gradient rows\n");
const results = new Map<EngineName, { step: number; rows: number }>();
for (const engine of ["cpu", "wasm"] as const) {
  const { step, rows } = await measure(engine);
  results.set(engine, { step, rows });
  process.stdout.write(`${engine.padEnd(6)} ${step.toFixed(0).padStart(15)} ${rows.toFixed(0).padStart(15)}\n`);
}
const [cpu, wasm] = [results.get("cpu")!, results.get("wasm")!];
process.stdout.write(
  `ratio  ${(cpu.step / wasm.step).toFixed(1).padStart(15)} ${(cpu.rows / wasm.rows).toFixed(1).padStart(15)}\n`,
);
await kernels.close();
