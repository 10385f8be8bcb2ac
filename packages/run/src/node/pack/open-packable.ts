/** MODEL as the packer takes it: a checkpoint of a built-in network, a packed network, an ONNX model or one of TensorFlow.js. */
import { createHash } from "node:crypto";
import type { RunEvent, Task, TensorSpec } from "@secateur/core";
import { decodeOnnx, detectFormat, encodeOnnx, type OnnxValue, readFileBytes } from "@secateur/formats";
import type { NetworkSpec } from "@secateur/nn";
import type { PackedModel } from "@secateur/runtime";
import type { PackGraph } from "@secateur/runtime/pack";
import { flagWithoutEffect } from "../../errors.ts";
import { onnxOfKeras } from "../export/keras/onnx-of-keras.ts";
import { architectureKey } from "../open/architecture/resolve-architecture.ts";
import type { InputChoices } from "../open/input-choices.ts";
import { openModel } from "../open/open-model.ts";
import { isTfjsModel, modelFile, readTfjsFiles } from "../open/open-tfjs.ts";
import { networkGraph } from "./network-graph.ts";
import { onnxPackGraph } from "./onnx-graph.ts";
import { endingsOf } from "./packed-accuracy.ts";
import { isPacked, readPacked, textsOf } from "./packed-checkpoint.ts";
import { type StockForms, stockOfNetwork } from "./stock-forms.ts";

/** A model that can be packed. */
export interface Packable {
  readonly name: string;
  readonly graph: PackGraph;
  /** What it computes, to tell the task. */
  readonly outputs: readonly TensorSpec[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Of an ONNX model, or what became one: its inputs by name. */
  readonly onnxInputs?: ReadonlyMap<string, OnnxValue>;
  /** Of a built-in network. */
  readonly spec: NetworkSpec | undefined;
  /** The task that its file says it was trained for. */
  readonly trainedFor?: Task | undefined;
  /** The same model as other runtimes take it. */
  readonly stock: StockForms;
}

/** @throws what `openModel` and `readOnnx` throw; ERR_PACKED_GRAPH for an ONNX model with an operator that the packer lacks */
export async function openPackable(spec: {
  readonly path: string;
  readonly arch: string | undefined;
  /** Of an ONNX or TensorFlow.js model. */
  readonly inputs?: InputChoices | undefined;
  readonly onEvent: (event: RunEvent) => void;
}): Promise<Packable> {
  const { arch, inputs } = spec;
  const path = modelFile(spec.path);
  const isTfjs = await isTfjsModel(path);
  const bytes = isTfjs ? new Uint8Array() : await readFileBytes(path);
  if (isTfjs || detectFormat(bytes) === "onnx") {
    const kind = isTfjs ? "a TensorFlow.js model" : "an ONNX model";
    if (arch !== undefined)
      throw flagWithoutEffect({ flag: "--arch", reason: `${path} is ${kind}, which says what its layers are` });
    if (!isTfjs)
      return onnxPackable({ ...spec, path }, { onnx: bytes, sha256: createHash("sha256").update(bytes).digest("hex") });
    const { files, sha256 } = await readTfjsFiles(path);
    const onnx = encodeOnnx(onnxOfKeras(files));
    const packable = onnxPackable({ ...spec, path }, { onnx, sha256 });
    return { ...packable, stock: { ...packable.stock, tfjs: async () => files } };
  }
  const packed = isPacked(bytes) ? await readPacked(bytes, path) : undefined;
  if (inputs) {
    const reason = `${path} is neither an ONNX nor a TensorFlow.js model, and says itself what it takes`;
    throw flagWithoutEffect({ flag: "--input-shape, --fix or --state", reason });
  }
  if (packed && arch === undefined && !(architectureKey in packed.metadata)) return packedGraph(path, packed);
  const { network, architecture, metadata, sha256, trainedFor } = await openModel(spec);
  return {
    name: network.name,
    graph: networkGraph(network),
    outputs: network.outputs,
    metadata: { ...metadata, [architectureKey]: architecture.name, "secateur.source.sha256": sha256 },
    spec: network.spec,
    trainedFor,
    stock: packed ? {} : stockOfNetwork(network),
  };
}

function onnxPackable(
  { path, inputs, onEvent }: Parameters<typeof openPackable>[0],
  { onnx, sha256 }: { readonly onnx: Uint8Array; readonly sha256: string },
): Packable {
  const model = decodeOnnx(onnx, path);
  const { graph, isFixed } = onnxPackGraph(model, inputs);
  // A graph says itself what its layers are, also where it came of one of our networks: channels may have been cut out of it since.
  const { [architectureKey]: _, ...metadata } = model.metadata;
  if (isFixed) {
    const message = `${path} leaves its batch open, but mixes the examples of one or works for one size only: it is packed for one example at a time`;
    onEvent({ type: "note", level: "warn", code: "pack-batch", message });
  }
  return {
    name: path,
    graph,
    outputs: outputsOf(graph),
    metadata: { ...metadata, "secateur.source.sha256": sha256 },
    onnxInputs: new Map(model.graph.inputs.map((input) => [input.name, input])),
    spec: undefined,
    stock: { onnx: () => onnx },
  };
}

/** A packed network of any graph, to be packed again: its operators keep their kernels only where they are still the fastest. */
function packedGraph(path: string, model: PackedModel): Packable {
  const { inputs, outputs, operators, states, metadata } = model;
  const exact = exactTensors(model);
  const tensors = new Map(
    [...model.tensors].map(([name, { dims, data }]) => [
      name,
      { dims, data, ...(exact.has(name) ? { exact: true } : {}) },
    ]),
  );
  const graph: PackGraph = { inputs, outputs, operators, tensors, ...(states ? { states } : {}) };
  return { name: path, graph, outputs: outputsOf(graph), metadata: textsOf(metadata), spec: undefined, stock: {} };
}

/** Numbers of the graph's arithmetic: constants, and what stands as f32 in a file whose weights have fewer bits. */
function exactTensors({ operators, tensors }: PackedModel): ReadonlySet<string> {
  const constants = operators.flatMap(({ op, tensors: names }) => (op === "Constant" ? names : []));
  const weights = [...tensors].filter(([, { dims }]) => dims.length > 1);
  const isMixed = weights.some(([, { values }]) => values !== "f32");
  const others = isMixed ? weights.flatMap(([name, { values }]) => (values === "f32" ? [name] : [])) : [];
  return new Set([...constants, ...others]);
}

/** What a softmax gives are classes, as many as its last extent. */
function outputsOf(graph: PackGraph): readonly TensorSpec[] {
  const endings = endingsOf(graph);
  return graph.outputs.map(({ name, dims }) => {
    const shape = dims.slice(1) as number[];
    const classes = shape.at(-1) ?? 1;
    const areClasses = endings.get(name)?.endsWith("Softmax") && classes > 1;
    return { name, shape, dtype: "f32", ...(areClasses ? { classes } : {}) };
  });
}
