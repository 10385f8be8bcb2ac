/** An ONNX model as a list of tensors, for what only looks at those. */
import type { Checkpoint, NamedTensor } from "../tensor.ts";
import { bodiesOf } from "./check/check-graph.ts";
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxTensor } from "./onnx-model.ts";

/** Every tensor of a graph and its subgraphs, constants of nodes under the name of the value they make. */
export function onnxTensors(graph: OnnxGraph): readonly OnnxTensor[] {
  const inNodes = graph.nodes.flatMap((node) => {
    const own = Object.entries(node.attributes).flatMap(([key, value]) => {
      const name = node.op === "Constant" ? node.outputs[0]! : `${node.name || node.outputs[0]}.${key}`;
      return tensorsOf(value).map((tensor) => ({ ...tensor, name: tensor.name || name }));
    });
    return [...own, ...bodiesOf(node).flatMap(onnxTensors)];
  });
  return [...graph.initializers, ...inNodes];
}

function tensorsOf(value: OnnxAttribute): readonly OnnxTensor[] {
  const items = (Array.isArray(value) ? value : [value]) as readonly OnnxAttribute[];
  return items.filter((item): item is OnnxTensor => typeof item === "object" && "place" in item);
}

/** The tensors with elements that are read; others are counted in a note. */
export function onnxCheckpoint(model: OnnxModel): Checkpoint {
  const all = onnxTensors(model.graph);
  const read = all.filter((tensor): tensor is Exclude<OnnxTensor, { opaque: true }> => !("opaque" in tensor));
  const left = all.length - read.length;
  const seen = new Map<string, number>();
  const tensors = read.map(({ place: _place, external: _external, ...tensor }) => {
    const times = seen.get(tensor.name) ?? 0;
    seen.set(tensor.name, times + 1);
    return times === 0 ? tensor : { ...tensor, name: `${tensor.name}#${times + 1}` };
  });
  const { metadata, opsets } = model;
  const versions = Object.entries(opsets).map(([domain, version]) => `${domain || "ai.onnx"} ${version}`);
  const notes = left === 0 ? [] : [`${left} tensors of types that are not read (strings, small floats) are left out`];
  return {
    format: "onnx",
    tensors: tensors as readonly NamedTensor[],
    metadata: { opsets: versions.join(", "), ...metadata },
    ...(notes.length === 0 ? {} : { notes }),
  };
}
