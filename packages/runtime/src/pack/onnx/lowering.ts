/** A graph on its way into a packed one: what is known of its values, and the tools that every kind of node is lowered with. */
import { notPackable, quoted } from "../../errors.ts";
import type { Attribute, PackedOperator, PackedValue } from "../../file/packed-model.ts";
import type { Value } from "../../plan/value.ts";
import { checkedCall } from "../../plan/value-dims.ts";
import type { DenseTensor } from "../pack-graph.ts";

/** A tensor, as @secateur/formats and @secateur/graph have them. */
export interface OnnxLikeTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data?: ArrayLike<number> | ArrayLike<bigint>;
}

/** A node of an ONNX graph. */
export interface OnnxLikeNode {
  readonly name: string;
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** An ONNX graph whose shapes are fixed but for the first extents of inputs, as `foldGraph` of @secateur/graph gives it. */
export interface OnnxLikeGraph {
  readonly nodes: readonly OnnxLikeNode[];
  readonly initializers: readonly OnnxLikeTensor[];
  readonly inputs: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape?: readonly (number | string | null)[];
  }[];
  readonly outputs: readonly { readonly name: string }[];
  /** Version of ONNX's operators; default 13. */
  readonly opset?: number;
}

/** What was lowered so far. */
export interface State {
  readonly opset: number;
  readonly inputs: readonly PackedValue[];
  /** Whether some input leaves its first extent open; everything is lowered for one example. */
  readonly isBatched: boolean;
  readonly constants: Map<string, OnnxLikeTensor>;
  readonly values: Map<string, Value>;
  /** Values that are others under another name. */
  readonly names: Map<string, string>;
  readonly operators: PackedOperator[];
  readonly tensors: Map<string, DenseTensor>;
}

/** A node on its way: what it reads, and where its operators go. */
export interface Lowering {
  readonly node: OnnxLikeNode;
  readonly state: State;
  refuse(problem: string): never;
  /** The value of input i; a constant becomes one. */
  value(i: number): string;
  dims(value: string): readonly number[];
  /** The constant of input i; undefined where it is left out or computed. */
  constant(i: number): OnnxLikeTensor | undefined;
  /** Whole numbers of a constant input, undefined where it is left out. */
  wholes(i: number): readonly number[] | undefined;
  numbers(tensor: OnnxLikeTensor): Float32Array;
  /** Keeps a tensor for the file. */
  keep(name: string, dims: readonly number[], data: Float32Array): string;
  /** Numbers of the graph's arithmetic as a value. @param output - its name, where the graph has one for it */
  constantValue(name: string, dims: readonly number[], data: Float32Array, output?: string): string;
  /** Adds an operator. Without `isLast` what it gives is a value between, else the node's output. */
  emit(
    op: string,
    from: readonly string[],
    rest?: { tensors?: readonly string[]; attributes?: Record<string, Attribute>; isLast?: boolean; output?: string },
  ): string;
  /** The value under other extents. */
  reshaped(from: string, dims: readonly number[], isLast?: boolean): string;
  /** Makes the node's output another name of a value. */
  same(value: string): void;
  ints(name: string, or: readonly number[]): readonly number[];
  number(name: string, or: number): number;
}

export function createLowering(node: OnnxLikeNode, state: State): Lowering {
  const label = node.name || node.outputs[0] || node.op;
  let made = 0;
  const refuse = (problem: string): never => {
    throw notPackable(`node ${quoted(label)} (${quoted(node.op)})`, problem);
  };
  const nameOf = (i: number): string => {
    const name = node.inputs[i] ?? "";
    return state.names.get(name) ?? name;
  };
  const lowering: Lowering = {
    node,
    state,
    refuse,
    value(i) {
      const name = nameOf(i);
      if (state.values.has(name)) return name;
      const known = state.constants.get(name) ?? refuse(`its input ${i} is missing`);
      return lowering.constantValue(`${name} value`, known.shape, lowering.numbers(known), name);
    },
    dims: (value) => state.values.get(value)!.dims,
    constant: (i) => state.constants.get(nameOf(i)),
    wholes(i) {
      if (!node.inputs[i]) return undefined;
      const { data } = state.constants.get(nameOf(i)) ?? refuse(`its input ${i} is computed; it has to be constant`);
      return Array.from(data as ArrayLike<bigint>, Number);
    },
    numbers(tensor) {
      const { data, dtype } = tensor;
      if (!data || !["f32", "f64", "i64", "i32", "bool"].includes(dtype))
        return refuse(`its tensor ${quoted(tensor.name)} is of ${dtype}; it has to be f32 or f64, or whole numbers`);
      return Float32Array.from(data as ArrayLike<number>, Number);
    },
    keep(name, dims, data) {
      state.tensors.set(name, { dims, data });
      return name;
    },
    constantValue(name, dims, data, output) {
      state.tensors.set(name, { dims, data, exact: true });
      return lowering.emit("Constant", [], { tensors: [name], ...(output ? { output } : {}) });
    },
    emit(op, from, { tensors = [], attributes = {}, isLast = false, output } = {}) {
      const own = output ?? (isLast ? node.outputs[0]! : `${node.outputs[0]}/${made++}`);
      const name = own === node.outputs[0] ? label : own;
      const operator: PackedOperator = { op, name, inputs: from, tensors, output: own, attributes };
      const { dims } = checkedCall(operator, state.values, state.tensors);
      state.values.set(own, { name: own, dims, phases: new Map() });
      state.operators.push(operator);
      return own;
    },
    reshaped(from, dims, isLast = false) {
      const before = lowering.dims(from);
      // Shapes are taken for one example: what keeps the batch of one keeps a larger one.
      const isKept = state.isBatched && dims[0] === 1 && before[0] === 1;
      return lowering.emit("Reshape", [from], {
        attributes: { dims: isKept ? [0, ...dims.slice(1)] : dims },
        isLast,
      });
    },
    same(value) {
      state.names.set(node.outputs[0]!, value);
    },
    ints(name, or) {
      const found = node.attributes[name];
      return Array.isArray(found) ? found.map(Number) : or;
    },
    number: (name, or) => (typeof node.attributes[name] === "number" ? (node.attributes[name] as number) : or),
  };
  return lowering;
}

/** An axis counted from the end or not. */
export function axisOf({ refuse }: Pick<Lowering, "refuse">, axis: number, rank: number): number {
  const from = axis < 0 ? axis + rank : axis;
  return Number.isInteger(from) && from >= 0 && from < rank ? from : refuse(`its axis ${axis} is not one of ${rank}`);
}

/** Brings some axes to the end, in their order. @returns the value and the order */
export function axesLast(
  low: Lowering,
  from: string,
  axes: readonly number[],
): { readonly value: string; readonly perm: readonly number[] } {
  const rank = low.dims(from).length;
  const perm = [...Array(rank).keys()].filter((axis) => !axes.includes(axis)).concat(axes);
  const isThere = perm.every((axis, i) => axis === i);
  return { value: isThere ? from : low.emit("Transpose", [from], { attributes: { perm } }), perm };
}
