/**
 * The operator sets that hold a graph which we wrote. Exports are written as set 13 has their operators (17 with layer normalisation); here it is known
 * from which set on each means the same, and older forms are written where what is an input in newer sets was an attribute.
 */
import type { NewOnnxModel } from "@secateur/formats";

type Graph = NewOnnxModel["graph"];
type NewNode = Graph["nodes"][number];

/**
 * Operators that set 7, the oldest that is read anywhere, has as we write them. Softmaxes are written over the last axis only, where the older
 * definition, of rows behind an axis, is the same.
 */
const ofSeven = new Set(
  (
    "Add AveragePool BatchNormalization Cast Concat Conv ConvTranspose Div Elu Exp Flatten GRU Gather GlobalAveragePool GlobalMaxPool HardSigmoid " +
    "Identity LSTM LeakyRelu LogSoftmax MatMul MaxPool Mul Relu Reshape Selu Shape Sigmoid Softmax Softplus Softsign Sub Tanh Transpose"
  ).split(" "),
);

/** Those of later sets. */
const later: Readonly<Record<string, number>> = { Max: 8, Min: 8, Erf: 9, Slice: 10, Gemm: 7, LayerNormalization: 17 };

/** Inputs from the second on that were attributes before a set; of one number, or a list of them. */
const movedInputs: Readonly<
  Record<string, { readonly until: number; readonly names: readonly string[]; readonly isList: boolean }>
> = {
  Clip: { until: 11, names: ["min", "max"], isList: false },
  Pad: { until: 11, names: ["pads"], isList: true },
  Squeeze: { until: 13, names: ["axes"], isList: true },
  Unsqueeze: { until: 13, names: ["axes"], isList: true },
};

type Constants = ReadonlyMap<string, readonly number[]>;

/** The lowest set that holds a graph; what is not known here is taken to need the set that it was written in. */
export function lowestOpset({ graph, opsets }: NewOnnxModel): number {
  const constants = constantsOf(graph);
  const sets = graph.nodes.map((node) => lowestOf(node, { constants, otherwise: opsets[""]! }));
  return Math.max(7, ...sets);
}

/** The model in a set that is no lower than its lowest. */
export function inOpset(model: NewOnnxModel, opset: number): NewOnnxModel {
  const { graph } = model;
  const constants = constantsOf(graph);
  const nodes = graph.nodes.map((node) => asIn(node, { opset, constants }));
  const [before, after] = [graph.nodes, nodes].map((list) => new Set(list.flatMap(({ inputs }) => inputs)));
  const initializers = graph.initializers.filter(({ name }) => after!.has(name) || !before!.has(name));
  return { ...model, opsets: { ...model.opsets, "": opset }, graph: { ...graph, nodes, initializers } };
}

function lowestOf(node: NewNode, { constants, otherwise }: { constants: Constants; otherwise: number }): number {
  const { op, domain, inputs, attributes } = node;
  const moved = movedInputs[op];
  if (domain !== "") return 7;
  // Places counted from the end, and products without a third operand, came with set 11.
  const values = moved && valuesOf(node, constants);
  if (moved && !values) return moved.until;
  if (values) return op.endsWith("queeze") && values[0]!.some((axis) => axis < 0) ? 11 : 7;
  if (!ofSeven.has(op) && !(op in later)) return otherwise;
  const { axis } = attributes;
  const isFromEnd = typeof axis === "number" && axis < 0;
  const isAtEnd = op === "Gather" && !(constants.get(inputs[1]!) ?? [0]).every((place) => place >= 0);
  const isOfTwo = op === "Gemm" && inputs.length === 2;
  return Math.max(later[op] ?? 7, isFromEnd || isAtEnd || isOfTwo ? 11 : 7);
}

function asIn(node: NewNode, { opset, constants }: { opset: number; constants: Constants }): NewNode {
  const moved = movedInputs[node.op];
  const values = moved && opset < moved.until ? valuesOf(node, constants) : undefined;
  if (!moved || !values) return node;
  const own = moved.names.map((name, i) => [name, moved.isList ? values[i]! : values[i]![0]!] as const);
  const floats = [...(node.floats ?? []), ...(moved.isList ? [] : moved.names)];
  return {
    ...node,
    inputs: node.inputs.slice(0, 1),
    attributes: { ...node.attributes, ...Object.fromEntries(own) },
    floats,
  };
}

/** The numbers of the inputs that were attributes; undefined where there are fewer or more, or one is computed. */
function valuesOf({ op, inputs }: NewNode, constants: Constants): readonly (readonly number[])[] | undefined {
  const given = inputs.slice(1).map((name) => constants.get(name));
  const isWhole = given.length === movedInputs[op]!.names.length && given.every((one) => one !== undefined);
  return isWhole ? given : undefined;
}

/** Small constants: bounds, pads and axes. */
function constantsOf({ initializers }: Graph): Constants {
  const small = initializers.filter(({ data }) => data !== undefined && data.length <= 16);
  return new Map(
    small.map(({ name, data }) => [name, Array.from(data as ArrayLike<number | bigint>, Number)] as const),
  );
}
