/**
 * A first look at an ONNX file before anything is made of it: that it is protobuf throughout, nested no deeper than models are, and where each
 * tensor and each message around it lies. It makes one small object a tensor, and a message costs the file at least the bytes of its
 * name, so that memory stays a small multiple of the file's size.
 */
import { badOnnx } from "../errors.ts";
import { eachField, type WireField } from "./wire.ts";

/** A message of the file. */
export interface MessagePlace {
  /** The message around it; undefined for the model. */
  readonly parent?: MessagePlace;
  /** Where its own tag starts. */
  readonly start: number;
  /** Its fields: [from, end). */
  readonly from: number;
  readonly end: number;
}

type Kind =
  | "model"
  | "graph"
  | "node"
  | "attribute"
  | "tensor"
  | "sparse"
  | "value"
  | "type"
  | "list"
  | "map"
  | "training"
  | "function";

interface Child {
  readonly kind: Kind;
  readonly name: string;
  /** A field that may stand once; protobuf would merge two. */
  readonly single?: true;
}

/** By field number, what each kind of message holds. Numbers of onnx.proto. */
const CHILDREN: Readonly<Record<Kind, Readonly<Record<number, Child>>>> = {
  model: {
    7: { kind: "graph", name: "graph", single: true },
    20: { kind: "training", name: "training_info" },
    25: { kind: "function", name: "functions" },
  },
  training: {
    1: { kind: "graph", name: "initialization", single: true },
    2: { kind: "graph", name: "algorithm", single: true },
  },
  graph: {
    1: { kind: "node", name: "node" },
    5: { kind: "tensor", name: "initializer" },
    15: { kind: "sparse", name: "sparse_initializer" },
    11: { kind: "value", name: "input" },
    12: { kind: "value", name: "output" },
    13: { kind: "value", name: "value_info" },
  },
  function: { 7: { kind: "node", name: "node" }, 11: { kind: "attribute", name: "attribute_proto" } },
  node: { 5: { kind: "attribute", name: "attribute" } },
  attribute: {
    5: { kind: "tensor", name: "t", single: true },
    6: { kind: "graph", name: "g", single: true },
    10: { kind: "tensor", name: "tensors" },
    11: { kind: "graph", name: "graphs" },
    14: { kind: "type", name: "tp", single: true },
    22: { kind: "sparse", name: "sparse_tensor", single: true },
  },
  sparse: { 1: { kind: "tensor", name: "values", single: true }, 2: { kind: "tensor", name: "indices", single: true } },
  tensor: {},
  value: { 2: { kind: "type", name: "type", single: true } },
  type: {
    4: { kind: "list", name: "sequence" },
    5: { kind: "map", name: "map" },
    9: { kind: "list", name: "optional" },
  },
  list: { 1: { kind: "type", name: "of", single: true } },
  map: { 2: { kind: "type", name: "of", single: true } },
};

/** Field number of what a message of a kind cannot be without: its name, or a node's operator. */
const NEEDED: Readonly<Partial<Record<Kind, readonly [number: number, what: string]>>> = {
  node: [4, "a node without an operator"],
  attribute: [1, "an attribute without a name"],
  value: [1, "a value without a name"],
};

/** Models nest subgraphs two or three deep, three messages each; deeper files are made to exhaust the stack. */
const DEEPEST = 64;

/** The places of all tensors, by names such as "graph/initializer[3]". @throws ERR_ONNX */
export function onnxLayout(bytes: Uint8Array, source: string): ReadonlyMap<string, MessagePlace> {
  const places = new Map<string, MessagePlace>();
  const file = { bytes, source };
  const refuse = (found: string): never => {
    throw badOnnx({ source, found, expected: "a whole ONNX model" });
  };
  const walk = (kind: Kind, place: MessagePlace, at: { path: string; depth: number }): void => {
    if (at.depth > DEEPEST) refuse(`messages nested deeper than ${DEEPEST}`);
    const counts = new Map<number, number>();
    const needed = NEEDED[kind];
    let isNamed = needed === undefined;
    const visit = (field: WireField): void => {
      if (needed?.[0] === field.number && field.end > field.from) isNamed = true;
      const child = CHILDREN[kind][field.number];
      if (!child || field.type !== 2) return;
      const index = counts.get(field.number) ?? 0;
      counts.set(field.number, index + 1);
      if (child.single && index > 0) refuse(`the field ${at.path}/${child.name} twice`);
      const inside = { parent: place, start: field.start, from: field.from, end: field.end };
      const name = child.single ? child.name : `${child.name}[${index}]`;
      const path = at.path === "" ? name : `${at.path}/${name}`;
      if (child.kind === "tensor") places.set(path, inside);
      walk(child.kind, inside, { path, depth: at.depth + 1 });
    };
    eachField(file, place, visit);
    if (!isNamed) refuse(`${needed![1]} (${at.path})`);
  };
  walk("model", { start: 0, from: 0, end: bytes.length }, { path: "", depth: 0 });
  return places;
}
