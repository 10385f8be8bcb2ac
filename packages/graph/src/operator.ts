/** What an operator is: a shape rule, and forward, from which come backward and the tangent, through what it remembers. */
import type { Mat, Pool, Vec } from "@secateur/core";

import type { NodeSpec } from "./graph-spec.ts";
import type { ConvolutionView } from "./run/joined-layers.ts";
import type { Program } from "./run/programs.ts";
import type { Numbers, Value, ValueType } from "./value.ts";

/** A node with what is known of its inputs. */
export interface Question {
  readonly node: NodeSpec;
  /** Version of the operator set of its domain. */
  readonly opset: number;
  /** Undefined where an optional input is left out; `data` where its numbers are known before anything runs. */
  readonly inputs: readonly ((ValueType & { readonly data?: Numbers }) | undefined)[];
  /** Inputs that are parameters of the model, given as canonical matrices [out, in * taps]; their shape stays the stored one. */
  readonly weights: readonly (WeightUse | undefined)[];
}

/** A parameter where an operator uses it. */
export interface WeightUse {
  readonly param: string;
  /** Whether the graph transposes the stored matrix before its use. */
  readonly transposed: boolean;
}

/** One application of an operator. */
export interface Call extends Question {
  readonly inputs: readonly (Value | undefined)[];
  /** Of the outputs, as they are stored. */
  readonly types: readonly ValueType[];
  readonly pool: Pool;
  /** For each input whether derivatives pass through it. */
  readonly active: readonly boolean[];
  /** Axis of the stored array that an axis of the graph's array is, where channels are stored last; undefined: as they are. */
  readonly axisOf?: (axis: number) => number;
}

/** An operator applied. Deltas and tangents are as long as the values they belong to; undefined stands for zeros. */
export interface Applied {
  /** Numbers of each output: vectors of the pool, other arrays, or an input's own. */
  readonly outputs: readonly Numbers[];
  /** Vectors of the pool that are remembered besides inputs and outputs. */
  readonly kept?: readonly Vec[];
  /** What its weight is multiplied with, where it has one. */
  readonly weightInputs?: WeightInputs;
  /**
   * dL/dinputs for dL/doutputs. The deltas are owned: each is handed on as a result or given back to the pool; results are owned by the
   * caller. Gradients of weights go to the sink.
   */
  backward?(deltas: readonly (Vec | undefined)[], sink: WeightSink): readonly (Vec | undefined)[];
  /** The change of the outputs for changes of the inputs, which are left as they are; results are owned by the caller. */
  tangent?(tangents: readonly (Vec | undefined)[]): readonly (Vec | undefined)[];
}

/** Takes the gradients of weights. */
export interface WeightSink {
  /** Whether anybody asked for the gradient of a parameter. */
  wants(param: string): boolean;
  take(param: string, gradient: WeightGradient): void;
}

/** What the rows of a weight are multiplied with: units (rows of a matrix product, images), those of one example together. */
export interface WeightInputs {
  readonly units: number;
  /** The groups of a convolution, each with its own rows of the weight; one for anything else. */
  readonly groups: number;
  /**
   * What the rows of a group see, [some, in] in canonical order, of units [from, to). A matrix is valid until the next is asked for.
   *
   * @throws ERR_NO_DERIVATIVE for transposed convolutions
   */
  inputs(group: number, range: readonly [from: number, to: number]): Iterable<Mat>;
}

/** The gradient of a weight, not yet summed over units. */
export interface WeightGradient extends WeightInputs {
  /** Row s of out [ceil(units / group), out * in] = the gradient summed over units [s group, (s + 1) group). */
  rows(group: number, out: Mat): void;
  /** Its factors, where each unit adds delta' input: delta [units, out], input [units, in]. Valid during the call only. */
  readonly factors?: { readonly delta: Mat; readonly input: Mat };
  /** Slopes of the loss at the outputs of a group, [units * positions, out of the group]. */
  deltaOf(group: number): Mat;
}

/** How the arrays of an operator's inputs and outputs of three or more dimensions are stored. */
export type Layout =
  /** as ONNX says */
  | "first"
  /** channels last: [N, ..., C] */
  | "last"
  /** whichever way the first real input is */
  | "either";

/** An operator by name. */
export interface Operator {
  readonly name: string;
  readonly layout: Layout;
  /** Positions of inputs that take a parameter as a canonical matrix. */
  readonly weightInputs?: readonly number[];
  /** "none": its outputs do not change with its inputs, or only in jumps. */
  readonly derivative: "yes" | "none" | "forward only";
  /** Shapes and kinds of the outputs as ONNX says. @throws ERR_GRAPH_NODE */
  infer(question: Question): readonly ValueType[];
  apply(call: Call): Applied;
  /** What it does to real numbers in elementwise functions, where it is made of them: what `apply` computes, but for rounding. */
  program?(question: Question): Program | undefined;
  /** The convolution of the kernels that it is for inputs of these shapes, where it is one with weights. */
  convolution?(question: Question): ConvolutionView | undefined;
  /** Multiply-adds times two, or operations on single numbers, of one application. */
  flops(question: Question, outputs: readonly ValueType[]): number;
}
