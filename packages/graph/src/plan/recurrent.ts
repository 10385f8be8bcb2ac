/**
 * LSTM and GRU written out as the graph they stand for, a step of time after the other (ONNX operator specification, LSTM and GRU):
 *   LSTM  i, o, f = sigmoid(W x + R h + b),  c' = tanh(W x + R h + b),  c = f c + i c',  h = o tanh(c)
 *   GRU   z, r = sigmoid(W x + R h + b),  h' = tanh(W x + r (R h + b)) or tanh(W x + R (r h) + b),  h = (1 - z) h' + z h
 * with sigmoid and tanh replaced by what the node names as its activations. Peepholes add P c to what the gates see (the output's gate sees the new
 * c), and clipping bounds what the gates' activations see. Derivatives come from those of the parts. Lengths by example and activations that differ
 * between the directions are refused.
 */
import { badNode } from "../errors.ts";
import type { Attribute, GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { countedShare, describeNode } from "../operators/node-facts.ts";
import type { Shape } from "../value.ts";

/** Operators that are written out when a graph is planned. */
export const recurrentOperators = ["LSTM", "GRU"] as const;

/** Whether a node is one of them. */
export function isRecurrent({ op, domain }: Pick<NodeSpec, "op" | "domain">): boolean {
  return domain === "" && recurrentOperators.some((name) => name === op);
}

/** Names of weights that are parameters, as matrices [features or hidden, directions * gates * hidden]; others are taken from the node's inputs. */
export interface RecurrentWeights {
  readonly w?: string | undefined;
  readonly r?: string | undefined;
}

/** The graph of an LSTM or GRU whose input has a shape [time, batch, features]. Its outputs stand in the order of the node's. */
export function writtenOut(node: NodeSpec, shape: Shape, weights: RecurrentWeights = {}): GraphSpec {
  assertPlain(node);
  const writer = nodeWriter(node);
  const [time = 0] = shape;
  const directions = directionsOf(node);
  // Rows of an example one after the other: whoever takes gradients by example relies on it.
  const products =
    weights.w && writer.call("MatMul", [writer.call("Transpose", [node.inputs[0]!], { perm: [1, 0, 2] }), weights.w]);
  const parts = Array.from({ length: directions }, (_, d) => {
    const isReversed = node.attributes.direction === "reverse" || d === 1;
    const order = Array.from({ length: time }, (_, t) => (isReversed ? time - 1 - t : t));
    const direction = { node, d, order, shape, products, recurrent: weights.r };
    return node.op === "LSTM" ? lstm(writer, direction) : gru(writer, direction);
  });
  const { call, whole } = writer;
  const joined = (names: readonly string[], axis: number): string => call("Concat", names, { axis });
  const y = joined(
    parts.map(({ steps }) =>
      joined(
        steps.map((h) => call("Unsqueeze", [h, whole(0, 1)])),
        0,
      ),
    ),
    1,
  );
  const last = (key: "h" | "c"): string =>
    joined(
      parts.map((part) => call("Unsqueeze", [part[key] ?? part.h, whole(0)])),
      0,
    );
  const outputs = [y, last("h"), ...(node.op === "LSTM" ? [last("c")] : [])].slice(0, node.outputs.length);
  return {
    name: node.name,
    nodes: writer.nodes,
    initializers: writer.initializers,
    inputs: [],
    outputs: outputs.map((name) => ({ name, dtype: "f32" })),
  };
}

function directionsOf({ attributes }: NodeSpec): number {
  return attributes.direction === "bidirectional" ? 2 : 1;
}

function assertPlain(node: NodeSpec): void {
  const refuse = (found: string): never => {
    throw badNode({ node: describeNode(node), found, expected: "one as frameworks export it" });
  };
  const { activations, activation_alpha, activation_beta, clip, layout, input_forget } = node.attributes;
  const [one, both] = [activationsOf(node), activations];
  const isSame = !Array.isArray(both) || both.every((name, i) => name === one[i % one.length]);
  if (!isSame || !one.every((name) => knownActivations.includes(name))) refuse(`activations ${String(both)}`);
  if (activation_alpha !== undefined || activation_beta !== undefined) refuse("constants of its activations");
  if (clip !== undefined && !(Number(clip) > 0)) refuse(`clipping at ${String(clip)}`);
  if (layout === 1) refuse("layout 1");
  if (input_forget === 1) refuse("input_forget");
  if (node.inputs[4]) refuse("lengths by example");
}

/** Activations that are operators of the same name, with the constants that these have by themselves. */
const knownActivations: readonly string[] = ["Sigmoid", "HardSigmoid", "Tanh", "Relu", "Softsign", "Softplus"];

/** Of the gates, of the new values, and of an LSTM's output. */
function activationsOf({ op, attributes }: NodeSpec): readonly [string, string, string] {
  const usual = op === "LSTM" ? ["Sigmoid", "Tanh", "Tanh"] : ["Sigmoid", "Tanh"];
  const given = Array.isArray(attributes.activations) ? attributes.activations.map(String) : usual;
  return usual.map((name, i) => given[i] ?? name) as unknown as readonly [string, string, string];
}

interface Writer {
  readonly nodes: NodeSpec[];
  readonly initializers: GraphTensor[];
  /** Adds a node; returns the name of its first output. */
  call(
    op: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, Attribute>>,
    outputs?: number,
  ): string;
  /** Adds a constant of whole numbers. */
  whole(...numbers: readonly number[]): string;
  zeros(shape: Shape): string;
  one(): string;
  /** A number that is not whole. */
  real(number: number): string;
}

function nodeWriter({ name, outputs: [first] }: NodeSpec): Writer {
  const nodes: NodeSpec[] = [];
  const initializers: GraphTensor[] = [];
  const known = new Map<string, string>();
  const prefix = `${name || first} `;
  const constant = (key: string, tensor: Omit<GraphTensor, "name">): string => {
    const before = known.get(key);
    if (before !== undefined) return before;
    const own = `${prefix}constant ${key}`;
    initializers.push({ ...tensor, name: own });
    known.set(key, own);
    return own;
  };
  return {
    nodes,
    initializers,
    call(op, inputs, attributes = {}, outputs = 1) {
      const own = `${prefix}${nodes.length}`;
      const names = Array.from({ length: outputs }, (_, i) => (i === 0 ? own : `${own}.${i}`));
      nodes.push({ name: own, op, domain: "", inputs, outputs: names, attributes });
      return own;
    },
    whole: (...numbers) =>
      constant(numbers.join(), { dtype: "i64", shape: [numbers.length], data: Float64Array.from(numbers) }),
    zeros: (shape) =>
      constant(`zeros ${shape.join()}`, {
        dtype: "f32",
        shape,
        data: new Float32Array(shape.reduce((product, extent) => product * extent, 1)),
      }),
    one: () => constant("one", { dtype: "f32", shape: [], data: Float32Array.of(1) }),
    real: (number) => constant(`real ${number}`, { dtype: "f32", shape: [], data: Float32Array.of(number) }),
  };
}

interface Direction {
  readonly node: NodeSpec;
  /** Which of the directions. */
  readonly d: number;
  /** Steps of time in the order they are taken. */
  readonly order: readonly number[];
  readonly shape: Shape;
  /** x W' [batch, time, directions * gates * hidden], where W is a parameter. */
  readonly products: string | undefined;
  /** R' [hidden, directions * gates * hidden], where R is a parameter. */
  readonly recurrent: string | undefined;
}

interface Written {
  /** h after each step of time, by time. */
  readonly steps: readonly string[];
  readonly h: string;
  readonly c?: string;
}

/** Names of what one direction works with. */
function operands({ call, whole, zeros, real }: Writer, { node, d, shape, products, recurrent }: Direction) {
  const [x = "", w = "", r = "", b = "", , h0 = "", c0 = "", p = ""] = node.inputs;
  const hidden = Number(node.attributes.hidden_size);
  if (!(hidden > 0)) throw badNode({ node: describeNode(node), found: "no hidden_size", expected: "one" });
  const part = (name: string): string =>
    call("Squeeze", [call("Slice", [name, whole(d), whole(d + 1), whole(0)]), whole(0)]);
  const gates = node.op === "LSTM" ? 4 : 3;
  const turned = (name: string): string => call("Transpose", [part(name)], { perm: [1, 0] });
  const size = gates * hidden;
  const bias = b === "" ? undefined : part(b);
  const biasPart = (from: number): string | undefined =>
    bias && call("Slice", [bias, whole(from * size), whole((from + 1) * size), whole(0)]);
  const start = (name: string): string => (name === "" ? zeros([shape[1]!, hidden]) : part(name));
  const plus = (sum: string, other: string | undefined): string => (other ? call("Add", [sum, other]) : sum);
  const columns = (name: string, [from, to]: readonly [number, number], axis: number): string =>
    call("Slice", [name, whole(from), whole(to), whole(axis)]);
  /** Of what all directions give, the own columns. */
  const ownColumns = (name: string, axis: number, [from, to]: readonly [number, number] = [0, size]): string =>
    directionsOf(node) === 1 && to - from === size ? name : columns(name, [d * size + from, d * size + to], axis);
  const inputs = plus(products ? ownColumns(products, 2) : call("MatMul", [x, turned(w)]), biasPart(0));
  const time = whole(products ? 1 : 0);
  const at = (t: number): string => call("Squeeze", [call("Slice", [inputs, whole(t), whole(t + 1), time]), time]);
  const stored = recurrent ? undefined : turned(r);
  // One constant for all steps of time, so that whoever stores the graph stores it once.
  const parts = new Map<number, string>();
  const storedPart = (wanted: readonly [number, number]): string => {
    const known = parts.get(wanted[0]) ?? columns(stored!, wanted, 1);
    parts.set(wanted[0], known);
    return known;
  };
  /** h R' of the gates in [from, to), all of them by default. A parameter is multiplied whole, and costs what is wanted of it. */
  const again = (h: string, [from, to]: readonly [number, number] = [0, size], wanted: number = to - from): string => {
    if (recurrent) {
      const share = wanted / (directionsOf(node) * size);
      return ownColumns(call("MatMul", [h, recurrent], { [countedShare]: share }), 1, [from, to]);
    }
    return call("MatMul", [h, to - from === size ? stored! : storedPart([from, to])]);
  };
  /** Names of the gates of a value [batch, gates * hidden]. */
  const split = (name: string): readonly string[] => {
    const first = call("Split", [name], { axis: 1 }, gates);
    return Array.from({ length: gates }, (_, i) => (i === 0 ? first : `${first}.${i}`));
  };
  const peepholes = p === "" ? undefined : part(p);
  const clip = node.attributes.clip === undefined ? undefined : Number(node.attributes.clip);
  return {
    /** A sum plus P c of the gate at a place among input, output and forgetting; the sum where there are no peepholes. */
    seen(sum: string, gate: number, c: string): string {
      if (!peepholes) return sum;
      const own = call("Slice", [peepholes, whole(gate * hidden), whole((gate + 1) * hidden), whole(0)]);
      return call("Add", [sum, call("Mul", [own, c])]);
    },
    /** What an activation is given. */
    bounded: (sum: string): string => (clip === undefined ? sum : call("Clip", [sum, real(-clip), real(clip)])),
    again,
    recurrentBias: biasPart(1),
    h: start(h0),
    c: () => start(c0),
    at,
    split,
    plus,
    hidden,
  };
}

function lstm(writer: Writer, direction: Direction): Written {
  const { call } = writer;
  const { again, recurrentBias, at, split, plus, seen, bounded, ...first } = operands(writer, direction);
  const [gate, value, output] = activationsOf(direction.node);
  const steps: string[] = [];
  let [h, c] = [first.h, first.c()];
  for (const t of direction.order) {
    const sums = plus(call("Add", [at(t), again(h)]), recurrentBias);
    const [i, o, f, g] = split(sums) as [string, string, string, string];
    const opened = (sum: string, place: number): string => call(gate, [bounded(seen(sum, place, c))]);
    const kept = call("Mul", [opened(f, 2), c]);
    c = call("Add", [kept, call("Mul", [opened(i, 0), call(value, [bounded(g)])])]);
    h = call("Mul", [opened(o, 1), call(output, [c])]);
    steps[t] = h;
  }
  return { steps, h, c };
}

function gru(writer: Writer, direction: Direction): Written {
  const { call, whole, one } = writer;
  const { again, recurrentBias, at, split, plus, bounded, hidden, ...first } = operands(writer, direction);
  const [gate, value] = activationsOf(direction.node);
  const isBefore = direction.node.attributes.linear_before_reset === 1;
  const fresh = [2 * hidden, 3 * hidden] as const;
  const steps: string[] = [];
  let h = first.h;
  for (const t of direction.order) {
    const [xz, xr, xh] = split(at(t)) as [string, string, string];
    const [hz, hr, hh] = split(plus(again(h, [0, 3 * hidden], isBefore ? 3 * hidden : 2 * hidden), recurrentBias)) as [
      string,
      string,
      string,
    ];
    const z = call(gate, [bounded(call("Add", [xz, hz]))]);
    const r = call(gate, [bounded(call("Add", [xr, hr]))]);
    const bias = recurrentBias && call("Slice", [recurrentBias, whole(fresh[0]), whole(fresh[1]), whole(0)]);
    const inner = isBefore ? call("Mul", [r, hh]) : plus(again(call("Mul", [r, h]), fresh), bias);
    const next = call(value, [bounded(call("Add", [xh, inner]))]);
    h = call("Add", [call("Mul", [call("Sub", [one(), z]), next]), call("Mul", [z, h])]);
    steps[t] = h;
  }
  return { steps, h };
}
