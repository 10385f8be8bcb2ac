/** A TensorFlow.js layers model as an ONNX model: the same inputs and outputs, weights under the names they have. */
import { decodeWeight, type ModelFiles } from "@secateur/backends-tfjs";
import type { NewOnnxModel } from "@secateur/formats";
import { notExported } from "../../../errors.ts";
import { graphWriter } from "../graph-writer.ts";
import { channelsLast, type OrientedValue, oriented } from "../oriented-value.ts";
import { outputShapes } from "../output-shapes.ts";
import type { KerasWeight, LayerCall } from "./keras-call.ts";
import { type KerasLayer, kerasGraph } from "./keras-graph.ts";
import { writeKerasLayer } from "./keras-layers.ts";

/**
 * Describes a layers model as an ONNX model. Inputs and outputs keep their names and the order of their dimensions (images with channels
 * last); a dimension that varies is "batch" where it is the first. Convolution kernels are turned into ONNX's order, quantised weights are
 * written as the f32 numbers that they mean. The operator set is 13, or 17 where there is layer normalisation.
 *
 * @throws ERR_EXPORT for a graph model, a layer or a setting that is not written, naming it
 */
export function onnxOfKeras(files: ModelFiles): NewOnnxModel {
  const { source, kind, json } = files;
  if (kind === "graph") {
    throw notExported({ source, found: "a graph model", can: "convert the model that it was made from with tf2onnx" });
  }
  const keras = kerasGraph(json.modelTopology, source);
  const inputNames = keras.inputs.map(({ name }) => name);
  const names = uniqueNames(
    keras.outputs.map(({ name }) => name),
    inputNames,
  );
  const writer = graphWriter([...inputNames, ...names, ...files.weights.map(({ spec }) => spec.name)]);
  const find = weightFinder(files);
  const written = new Set<string>();
  const tensor = ({ name, shape, data }: KerasWeight): string => {
    if (!written.has(name)) writer.initializers.push({ name, dtype: "f32", shape, data });
    written.add(name);
    return name;
  };
  const values = new Map<number, OrientedValue>(
    keras.inputs.map(({ name, shape, value }) => [value, oriented(name, shape.length)]),
  );
  for (const { layer, inputs, output } of keras.calls) {
    const given = inputs.map((value) => values.get(value)!) as unknown as LayerCall["inputs"];
    const weight = (role: string): KerasWeight => find(layer, role);
    values.set(output, writeKerasLayer({ layer, inputs: given, writer, source, weight, tensor }));
  }
  const outputs = keras.outputs.map(({ value }, i) => ({
    name: writer.node("Identity", [channelsLast(values.get(value)!, writer)], {}, names[i]!),
    dtype: "f32" as const,
  }));
  const isNormalising = writer.nodes.some(({ op }) => op === "LayerNormalization");
  const opsets = { "": isNormalising ? 17 : 13 };
  const graph = {
    name: keras.name,
    nodes: writer.nodes,
    initializers: writer.initializers,
    inputs: keras.inputs.map(({ name, shape }) => ({
      name,
      dtype: "f32",
      shape: shape.map((extent, d) => extent ?? (d === 0 ? "batch" : `${name}_${d}`)),
    })),
    outputs,
  };
  const shapes = outputShapes({ graph, opsets });
  const shaped = outputs.map((output) => ({ ...output, shape: shapes.get(output.name)! }));
  return { opsets, metadata: textsOf(json["userDefinedMetadata"]), graph: { ...graph, outputs: shaped } };
}

/** A layer may give several outputs, or be an input as well; ONNX wants a name for each. */
function uniqueNames(wanted: readonly string[], taken: readonly string[]): readonly string[] {
  const seen = new Set(taken);
  return wanted.map((name) => {
    let free = name;
    for (let i = 1; seen.has(free); i++) free = `${name}_output_${i}`;
    seen.add(free);
    return free;
  });
}

/** Finds weights by layer and role: "dense/kernel", or with a cell between as in "lstm/lstm_cell/kernel" and "lstm_LSTM1/kernel". */
function weightFinder({ source, weights, data }: ModelFiles): (layer: KerasLayer, role: string) => KerasWeight {
  const byRole = new Map<string, (typeof weights)[number][]>();
  for (const weight of weights) {
    const role = weight.spec.name.slice(weight.spec.name.lastIndexOf("/") + 1).replace(/_\d+$/, "");
    byRole.set(role, [...(byRole.get(role) ?? []), weight]);
  }
  return (layer, role) => {
    const all = byRole.get(role) ?? [];
    const exact = all.filter(({ spec }) => spec.name === `${layer.name}/${role}`);
    const within = all.filter(({ spec }) =>
      spec.name
        .split("/")
        .slice(0, -1)
        .some((part) => part === layer.name || part.startsWith(`${layer.name}_${layer.className}`)),
    );
    const [found, ...others] = exact.length > 0 ? exact : within;
    if (!found || others.length > 0) {
      throw notExported({
        source: `${source}: the layer '${layer.name}' (${layer.className})`,
        found: found ? `several weights '${role}'` : `no weight '${role}'`,
        can: "give a model whose weights are named after their layers",
      });
    }
    const numbers = decodeWeight(found.spec, data.subarray(found.offset, found.offset + found.bytes));
    const count = found.spec.shape.reduce((product, extent) => product * extent, 1);
    if (numbers?.length !== count) {
      const what = `the weight '${found.spec.name}' of the type ${found.spec.dtype}`;
      throw notExported({ source, found: what, can: "give a model whose weights are numbers" });
    }
    return { name: found.spec.name, shape: found.spec.shape, data: Float32Array.from(numbers) };
  };
}

/** What the model's user wrote beside it, as far as it is text. */
function textsOf(metadata: unknown): Readonly<Record<string, string>> {
  if (typeof metadata !== "object" || metadata === null) return {};
  return Object.fromEntries(Object.entries(metadata).filter(([, value]) => typeof value === "string"));
}
