/**
 * What packing brings an ONNX model: processor time of one run, dense and under random masks, beside onnxruntime-web's wasm on the dense
 * model, one thread, in turn in one process. Processor time and the least of five turns, since other work on the machine lengthens the rest.
 *
 *   node_modules/.bin/node apps/cli/bench/packed-models.ts FOLDER MODEL.onnx [NAME=EXTENTS ...]
 *
 * FOLDER has onnxruntime-web in its node_modules.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { createRng } from "@secateur/core";
import { decodeOnnx } from "@secateur/formats";
import { onnxPackGraph, readInputChoices } from "@secateur/run/node";
import { load } from "@secateur/runtime";
import { packGraph } from "@secateur/runtime/pack";

const [folder = ".", path = "", ...inputShape] = process.argv.slice(2);
const ortPath = createRequire(join(resolve(folder), "package.json")).resolve("onnxruntime-web");
const module = await import(pathToFileURL(ortPath).href);
const ort = module.InferenceSession ? module : module.default;
ort.env.wasm.numThreads = 1;

const bytes = readFileSync(path);
const model = decodeOnnx(bytes, path);
const { graph } = onnxPackGraph(model, readInputChoices({ inputShape }));
const inputs = graph.inputs.map(({ name, dims: extents, whole }) => {
  const dims = extents.map((extent) => (extent === "batch" ? 1 : extent));
  const size = dims.reduce((product, extent) => product * extent, 1);
  const numbers = Float32Array.from({ length: size }, (_, i) => (whole ? i % 100 : Math.sin(i)));
  const fed = whole
    ? new ort.Tensor("int64", BigInt64Array.from(numbers, BigInt), dims)
    : new ort.Tensor("float32", numbers, dims);
  return { name, fed, given: { dims, data: numbers } };
});
const dense = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
const feeds = Object.fromEntries(inputs.map(({ name, fed }) => [name, fed]));
const given = Object.fromEntries(inputs.map(({ name, given: one }) => [name, one]));
const runs: { readonly name: string; readonly run: () => Promise<unknown> }[] = [
  { name: "onnxruntime-web", run: () => dense.run(feeds) },
];
for (const sparsity of [0, 0.5, 0.8, 0.9, 0.95]) {
  const rng = createRng(`masks ${sparsity}`);
  const tensors = new Map(
    [...graph.tensors].map(([name, tensor]) => {
      // Depthwise convolutions have one input a channel, and stay dense.
      const isMasked = tensor.dims.length >= 2 && !tensor.exact && tensor.dims[1]! > 1;
      return [name, isMasked ? { ...tensor, data: tensor.data.map((w) => (rng.next() < sparsity ? 0 : w)) } : tensor];
    }),
  );
  const session = await load((await packGraph({ ...graph, tensors }, { values: "f32" })).bytes);
  runs.push({ name: `packed, ${100 * sparsity} % pruned`, run: () => session.run(given) });
}

/** Milliseconds of the processor that one run takes. */
async function processorMs(run: () => Promise<unknown>, count: number): Promise<number> {
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / count;
}

for (const { run } of runs) await processorMs(run, 5);
const count = Math.max(3, Math.ceil(100 / (await processorMs(runs[0]!.run, 3))));
const least = runs.map(() => Number.POSITIVE_INFINITY);
for (let turn = 0; turn < 5; turn++)
  for (const [r, { run }] of runs.entries()) least[r] = Math.min(least[r]!, await processorMs(run, count));
for (const [r, { name }] of runs.entries())
  process.stdout.write(`${name}  ${least[r]!.toFixed(3)} ms  ${(least[0]! / least[r]!).toFixed(1)} x\n`);
process.exit(0);
