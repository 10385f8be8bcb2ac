/**
 * An ONNX file whose graph was changed: tensors of other extents, nodes with other inputs or attributes, nodes and tensors that are new. What did
 * not change stays as the file has it, fields that are not known here included; what the file said of extents within the graph is left out.
 */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { badOnnx } from "../errors.ts";
import { attributeProto, nodeProto, tensorProto, valueProto } from "./encode-onnx.ts";
import type { OnnxAttribute, OnnxNode, OnnxTensor } from "./onnx-model.ts";
import { type GraphProto, ModelProtoSchema, type NodeProto, NodeProtoSchema, type TensorProto } from "./onnx-schema.ts";

/** A tensor of a changed graph; a new one has no place. */
export type ChangedTensor = Omit<Exclude<OnnxTensor, { opaque: true }>, "place"> | OnnxTensor;

/** A node of a changed graph. */
export type ChangedNode = Omit<OnnxNode, "attributes"> & {
  readonly attributes: Readonly<Record<string, OnnxAttribute | ChangedTensor>>;
};

/** What was read, and what it becomes: what did not change is the same object in both. */
export interface OnnxRewriting {
  readonly from: { readonly nodes: readonly OnnxNode[]; readonly initializers: readonly OnnxTensor[] };
  /** Nodes in the order of `from`, none left out, new ones in between under names that `from` does not have. */
  readonly to: { readonly nodes: readonly ChangedNode[]; readonly initializers: readonly ChangedTensor[] };
}

/**
 * Writes a changed graph. Tensors whose numbers lay in other files are in the new one.
 *
 * @param bytes - the file that `from` was read from; not changed
 * @throws ERR_ONNX where `to` does not go with it, ERR_TENSOR
 */
export function rewriteOnnx(bytes: Uint8Array, { from, to }: OnnxRewriting, source: string): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  const graph = model.graph;
  if (!graph || graph.initializer.length !== from.initializers.length || graph.node.length !== from.nodes.length) {
    throw badOnnx({ source, found: "another graph than the one that was read", expected: "the same file" });
  }
  const shaped = new Map(to.initializers.map(({ name, dtype, shape }) => [name, { name, dtype, shape }]));
  const places = new Map(from.initializers.map((tensor, i) => [tensor as ChangedTensor, i]));
  graph.initializer = to.initializers.map((tensor) => {
    const place = places.get(tensor);
    return place === undefined || from.initializers[place]!.external ? newTensor(tensor) : graph.initializer[place]!;
  });
  // Before IR version 4 initializers stand among the inputs too.
  const gone = new Set(from.initializers.map(({ name }) => name).filter((name) => !shaped.has(name)));
  graph.node = changedNodes(graph, { from, to });
  graph.input = graph.input
    .filter(({ name }) => !gone.has(name))
    .map((value) => (shaped.has(value.name) ? valueProto(shaped.get(value.name)!) : value));
  if (model.irVersion < 4n) {
    const listed = new Set(graph.input.map(({ name }) => name));
    graph.input.push(...[...shaped.values()].filter(({ name }) => !listed.has(name)).map(valueProto));
  }
  graph.valueInfo = [];
  return toBinary(ModelProtoSchema, model);
}

function newTensor(tensor: ChangedTensor | OnnxTensor): TensorProto {
  if ("opaque" in tensor)
    throw badOnnx({ source: tensor.name, found: "a tensor that is not read", expected: "numbers" });
  return tensorProto(tensor);
}

function changedNodes(graph: GraphProto, { from, to }: OnnxRewriting): NodeProto[] {
  const names = new Set(from.nodes.map(({ name }) => name));
  // Nodes may have been read into another order than the file has.
  const protos = new Map(graph.node.map((proto) => [proto.output.join("\n"), proto]));
  let next = 0;
  return to.nodes.map((node) => {
    if (node.name !== "" && !names.has(node.name)) return nodeProto(node as OnnxNode);
    const before = from.nodes[next++]!;
    const proto = protos.get(before.outputs.join("\n"))!;
    const isSame = (key: string): boolean =>
      node.attributes[key] === before.attributes[key] && !isOutside(before.attributes[key]);
    const keys = [...new Set([...Object.keys(before.attributes), ...Object.keys(node.attributes)])];
    if (node === before && keys.every(isSame)) return proto;
    const changed = new Set(keys.filter((key) => !isSame(key)));
    const kept = proto.attribute.filter(({ name }) => !changed.has(name));
    const written = [...changed].flatMap((key) =>
      node.attributes[key] === undefined ? [] : [attributeProto(key, node.attributes[key] as OnnxAttribute, false)],
    );
    return create(NodeProtoSchema, {
      ...proto,
      input: [...node.inputs],
      output: [...node.outputs],
      attribute: [...kept, ...written],
    } as MessageInitShape<typeof NodeProtoSchema>);
  });
}

function isOutside(value: OnnxAttribute | undefined): boolean {
  return typeof value === "object" && "external" in value && value.external === true;
}
