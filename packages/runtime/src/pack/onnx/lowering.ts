/** A graph on its way into a packed one: what is known of its values, and the tools that every kind of node is lowered with. */
import { notPackable, quoted } from "../../errors.ts";
import type { Attribute, PackedOperator, PackedValue } from "../../file/packed-model.ts";
import { productOf, type Value } from "../../plan/value.ts";
import { checkedCall } from "../../plan/value-dims.ts";
import type { DenseTensor } from "../pack-graph.ts";

/** A tensor, as @secateur/formats and @secateur/graph have them. */
export interface OnnxLikeTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data?: ArrayLike<number> | ArrayLike<bigint>;
  /** The model's tensor whose numbers it holds, perhaps in another order, and which part of them, in (0, 1]; default: itself. */
  readonly source?: { readonly name: string; readonly share: number };
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

/** An ONNX graph whose shapes are fixed, as `foldGraph` of @secateur/graph gives it. */
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
  /** Names of computed values that are whole numbers or truth values; default none but whole inputs. */
  readonly wholes?: ReadonlySet<string>;
}

/** What was lowered so far. */
export interface State {
  readonly opset: number;
  readonly inputs: readonly PackedValue[];
  readonly wholes: ReadonlySet<string>;
  /** Names of all values, of the graph and made here. */
  readonly taken: Set<string>;
  readonly operatorNames: Set<string>;
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
  /** Whether input i is computed in whole numbers. */
  isWhole(i: number): boolean;
  /** Keeps a tensor for the file; returns its name, which is another where the name is taken by other numbers. */
  keep(name: string, dims: readonly number[], data: Float32Array, exact?: boolean): string;
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
  const between = (): string => {
    let name = `${node.outputs[0]}/${made++}`;
    while (state.taken.has(name)) name = `${node.outputs[0]}/${made++}`;
    state.taken.add(name);
    return name;
  };
  const refuse = (problem: string): never => {
    throw notPackable(`node ${quoted(label)} (${quoted(node.op)})`, problem);
  };
  const kept = (wanted: string, tensor: DenseTensor): string => {
    const size = productOf(tensor.dims);
    if (size !== tensor.data.length)
      refuse(`its tensor ${quoted(wanted)} has ${tensor.data.length} numbers; it needs ${size}`);
    if (!tensor.data.every(Number.isFinite)) refuse(`its tensor ${quoted(wanted)} has numbers that are not finite`);
    let name = wanted;
    for (let i = 2; state.tensors.has(name); i++) {
      if (isSame(state.tensors.get(name)!, tensor)) return name;
      name = `${wanted}#${i}`;
    }
    state.tensors.set(name, tensor);
    return name;
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
    isWhole: (i) => state.wholes.has(node.inputs[i] ?? ""),
    keep: (name, dims, data, exact = false) => kept(name, exact ? { dims, data, exact } : { dims, data }),
    constantValue(name, dims, data, output) {
      // Infinities as the largest numbers, such as masks have: a file holds finite ones.
      const finite = data.map((number) => Math.max(-largest, Math.min(largest, number)));
      const tensor = kept(name, { dims, data: finite, exact: true });
      return lowering.emit("Constant", [], { tensors: [tensor], ...(output ? { output } : {}) });
    },
    emit(op, from, { tensors = [], attributes = {}, isLast = false, output } = {}) {
      const own = output ?? (isLast ? node.outputs[0]! : between());
      const name = operatorName(own === node.outputs[0] ? label : own, state);
      const operator: PackedOperator = { op, name, inputs: from, tensors, output: own, attributes };
      const { dims } = checkedCall(operator, state.values, state.tensors);
      state.values.set(own, { name: own, dims, phases: new Map() });
      state.operators.push(operator);
      return own;
    },
    reshaped(from, dims, isLast = false) {
      return lowering.emit("Reshape", [from], { attributes: { dims }, isLast });
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

/** The largest f32. */
export const largest = 3.4028234663852886e38;

function isSame(a: DenseTensor, b: DenseTensor): boolean {
  return a.dims.join() === b.dims.join() && a.exact === b.exact && a.data.every((number, i) => number === b.data[i]);
}

/** Names of nodes need not be unique; those of operators are. */
export function operatorName(wanted: string, { operatorNames }: State): string {
  let name = wanted;
  for (let i = 2; operatorNames.has(name); i++) name = `${wanted}#${i}`;
  operatorNames.add(name);
  return name;
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
