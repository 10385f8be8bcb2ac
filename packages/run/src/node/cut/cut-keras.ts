/**
 * A TensorFlow.js layers model whose graph was cut: the same layers with other widths. The graph has each weight under its own name, in the order of axes
 * that ONNX wants; here it goes back into Keras's. Layers say how wide they are (units, filters), so their descriptions follow their weights.
 */
import type { ModelFiles } from "@secateur/backends-tfjs";
import type { GraphSpec, GraphTensor } from "@secateur/graph";
import { notExported } from "../../errors.ts";
import { onnxOfKeras } from "../export/keras/onnx-of-keras.ts";

/** Weights of a cut model, as TensorFlow.js keeps them. */
interface CutWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly bytes: Uint8Array;
}

const weightsFile = "group1-shard1of1.bin";

/**
 * The files that a cut graph of a model stands for.
 *
 * @param graph - of `files`, as `onnxOfKeras` writes it, cut
 * @throws ERR_EXPORT for a layer that cannot say what is left of it
 */
export function cutKeras(files: ModelFiles, graph: GraphSpec): ModelFiles {
  const { source, json, data } = files;
  const before = new Map(onnxOfKeras(files).graph.initializers.map((tensor) => [tensor.name, tensor]));
  const after = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const biases = biasesOf(graph, after);
  const changed = new Map<string, CutWeight>();
  const weights = files.weights.flatMap(({ spec, offset, bytes }): CutWeight[] => {
    const { name, shape, dtype } = spec;
    const [was, now] = [before.get(name), biases.get(name) ?? after.get(name)];
    const kept = { name, shape, dtype, bytes: data.subarray(offset, offset + bytes) };
    if (!was || !now || isSame(was as GraphTensor, now)) {
      if (spec.quantization === undefined) return [kept];
      throw notExported({ source, found: `the quantised weight '${name}'`, can: "write --out NAME.onnx" });
    }
    const cut = backInKeras({ name, shape, source }, now);
    changed.set(name, cut);
    return [cut];
  });
  const names = new Set(weights.map(({ name }) => name));
  for (const [name, tensor] of biases) {
    if (names.has(name)) continue;
    const fresh = backInKeras({ name, shape: tensor.shape, source }, tensor);
    changed.set(name, fresh);
    weights.push(fresh);
  }
  const manifest = [
    { paths: [weightsFile], weights: weights.map(({ name, shape, dtype }) => ({ name, shape, dtype })) },
  ];
  const topology = narrowed(json.modelTopology, changed) as typeof json.modelTopology;
  return modelOfWeights({ ...json, modelTopology: topology, weightsManifest: manifest }, { source, weights });
}

/** A model of one file of weights, as if it were read. */
function modelOfWeights(
  json: ModelFiles["json"],
  { source, weights }: { readonly source: string; readonly weights: readonly CutWeight[] },
): ModelFiles {
  let offset = 0;
  const placed = weights.map(({ name, shape, dtype, bytes }) => {
    const at = offset;
    offset += bytes.length;
    return { spec: { name, shape, dtype }, offset: at, bytes: bytes.length };
  });
  const data = new Uint8Array(offset);
  placed.forEach((place, i) => {
    data.set(weights[i]!.bytes, place.offset);
  });
  const jsonBytes = new TextEncoder().encode(JSON.stringify(json));
  const shards = [{ path: weightsFile, bytes: offset }];
  return { source, kind: "layers", json, jsonBytes, weights: placed, data, shards };
}

/** The files by name, to be written. */
export function filesByName({ jsonBytes, data }: ModelFiles): ReadonlyMap<string, Uint8Array> {
  return new Map([
    ["model.json", jsonBytes],
    [weightsFile, data],
  ]);
}

/** Biases by the names that they have beside their kernels: one that took over what channels added has another name in the graph. */
function biasesOf(graph: GraphSpec, tensors: ReadonlyMap<string, GraphTensor>): ReadonlyMap<string, GraphTensor> {
  return new Map(
    graph.nodes.flatMap(({ op, inputs: [, weight = "", bias = ""] }) => {
      const tensor = tensors.get(bias);
      const beside = weight.replace(/[^/]+$/, "bias");
      return /^(Conv|ConvTranspose|Gemm)$/.test(op) && tensor ? [[beside, tensor] as const] : [];
    }),
  );
}

function isSame(a: GraphTensor, b: GraphTensor): boolean {
  if (String(a.shape) !== String(b.shape) || !a.data || !b.data) return false;
  const other = b.data;
  return Array.prototype.every.call(a.data, (value: number, i: number) => Object.is(value, other[i]));
}

/** A tensor of the graph in Keras's order of axes. @throws ERR_EXPORT for gates of recurrent layers */
function backInKeras(
  { name, shape, source }: { readonly name: string; readonly shape: readonly number[]; readonly source: string },
  tensor: GraphTensor,
): CutWeight {
  const role = name.slice(name.lastIndexOf("/") + 1).replace(/_\d+$/, "");
  const isKernel = /^(kernel|pointwise_kernel|depthwise_kernel)$/.test(role) && shape.length > 2;
  const isDepthwise = role === "depthwise_kernel";
  const isPlain =
    tensor.shape.length === shape.length && (shape.length === 1 || role === "kernel" || role === "embeddings");
  if (!isKernel && !isPlain) {
    throw notExported({ source, found: `changes in the weight '${name}'`, can: "write --out NAME.onnx" });
  }
  const numbers = Float32Array.from(tensor.data as ArrayLike<number>);
  const dtype = "float32";
  if (!isKernel) return { name, dtype, shape: tensor.shape, bytes: new Uint8Array(numbers.buffer) };
  const [outputs = 1, inputs = 1, ...spatial] = tensor.shape;
  const positions = spatial.reduce((product, extent) => product * extent, 1);
  const turned = new Float32Array(numbers.length);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let p = 0; p < positions; p++) {
        turned[(p * inputs + i) * outputs + o] = numbers[(o * inputs + i) * positions + p]!;
      }
    }
  }
  const each = shape.at(-1)!;
  const ends = isDepthwise ? [outputs / each, each] : [inputs, outputs];
  return { name, dtype, shape: [...spatial, ...ends], bytes: new Uint8Array(turned.buffer) };
}

/** The widths of a layer, by the weight that has them: key of its config, role of the weight, axis counted from behind. */
const widths: Readonly<Record<string, readonly [key: string, role: string, axis: number]>> = {
  Dense: ["units", "kernel", -1],
  Conv1D: ["filters", "kernel", -1],
  Conv2D: ["filters", "kernel", -1],
  SeparableConv2D: ["filters", "pointwise_kernel", -1],
  Conv2DTranspose: ["filters", "kernel", -2],
};

/** A topology whose layers have the widths of their weights; layers are what has a class and a config with a name. */
function narrowed(value: unknown, changed: ReadonlyMap<string, CutWeight>): unknown {
  if (Array.isArray(value)) return value.map((one) => narrowed(one, changed));
  if (typeof value !== "object" || value === null) return value;
  const own = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, narrowed(one, changed)]));
  const { class_name: kind, config } = own as { class_name?: unknown; config?: Readonly<Record<string, unknown>> };
  if (typeof kind !== "string" || typeof config !== "object" || typeof config["name"] !== "string") return own;
  const weight = (role: string): CutWeight | undefined =>
    [...changed.values()].find(({ name }) => {
      const parts = name.split("/");
      return parts.at(-1)!.replace(/_\d+$/, "") === role && parts.slice(0, -1).includes(String(config["name"]));
    });
  const [key, role, axis] = widths[kind] ?? [];
  const width = role === undefined ? undefined : weight(role)?.shape.at(axis!);
  const hasBias = "use_bias" in config && weight("bias") !== undefined;
  return {
    ...own,
    config: { ...config, ...(width === undefined ? {} : { [key!]: width }), ...(hasBias ? { use_bias: true } : {}) },
  };
}
