/** What an operator does with channels, as a rule from the axes of its inputs to those of its outputs. */
import type { NodeSpec } from "../../graph-spec.ts";
import type { Numbers, Shape, ValueType } from "../../value.ts";
import type { Axes, Axis, Identities } from "../identities.ts";

/** A value with the identities along its axes. */
export interface Traced extends ValueType {
  readonly axes: Axes;
  /** Its numbers, where they are known before anything runs. */
  readonly data?: Numbers;
}

/** One use of an operator, in the order of axes that ONNX says. */
export interface RuleCall {
  readonly node: NodeSpec;
  readonly opset: number;
  readonly inputs: readonly (Traced | undefined)[];
  readonly outputs: readonly ValueType[];
  readonly identities: Identities;
  /** The operator, for reports. */
  readonly why: string;
  /** Whether an input is a constant that the file holds, not one that follows from the shapes for which the graph was planned. */
  isSaid(input: number): boolean;
}

/** The axes of the outputs; unites and fixes identities of the inputs. */
export type ChannelRule = (call: RuleCall) => readonly Axes[];

/** Axes that are all fixed. */
export function fixedAxes({ length }: Shape): Axes {
  return new Array<Axis>(length).fill(undefined);
}

/** Nothing that goes in may go, and nothing that comes out: what holds of operators that cannot be followed. */
export const frozen: ChannelRule = ({ inputs, outputs, identities, why }) => {
  for (const input of inputs) for (const axis of input?.axes ?? []) identities.fix(axis, why);
  return outputs.map(({ shape }) => fixedAxes(shape));
};

/** The first input's axes go on, but for those that the rule says are mixed. */
export function passing(isMixed: (call: RuleCall, axis: number) => boolean): ChannelRule {
  return (call) => {
    const { inputs, outputs, identities, why } = call;
    const [{ axes, shape }] = inputs as [Traced];
    const kept = axes.map((axis, i) => {
      if (!isMixed(call, i)) return axis;
      identities.fix(axis, why);
      return undefined;
    });
    return outputs.map((output) => output.shape.map((extent, i) => (extent === shape[i] ? kept[i] : undefined)));
  };
}

/** An axis, counted from the front. */
export function front(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** A number attribute. */
export function numberOf({ node }: Pick<RuleCall, "node">, key: string, otherwise: number): number {
  const value = node.attributes[key];
  return typeof value === "number" ? value : otherwise;
}

/** A list that older operator sets have as an attribute and newer ones as an input, as far as it is known. */
export function listOf(
  { node, inputs }: Pick<RuleCall, "node" | "inputs">,
  key: string,
  i: number,
): readonly number[] | undefined {
  const own = node.attributes[key];
  if (Array.isArray(own)) return own as readonly number[];
  const data = inputs[i]?.data;
  return data && Array.from(data);
}
