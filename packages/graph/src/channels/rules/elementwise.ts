/** Operators that take numbers by place: sums of branches, activations, scales by channel. */
import type { ValueType } from "../../value.ts";
import type { Axes, Axis } from "../identities.ts";
import type { ChannelRule, RuleCall } from "./channel-rule.ts";

/** Inputs stretch to the output (numpy's rule): along each axis those that are not stretched have the same channels. */
export const elementwise: ChannelRule = (call) => call.outputs.map((output) => stretched(call, output));

function stretched({ inputs, identities, why }: RuleCall, { shape }: ValueType): Axes {
  return shape.map((extent, i): Axis => {
    if (extent === 1) return undefined;
    const own = inputs.flatMap((input): readonly Axis[] => {
      const at = i - shape.length + (input?.shape.length ?? 0);
      return input && at >= 0 && input.shape[at] === extent ? [input.axes[at]] : [];
    });
    for (const other of own.slice(1)) identities.uniteAxes(own[0], other, why);
    return own[0];
  });
}

/** Scale, bias, mean and variance by channel: axis 1 of the first input with the only axis of all others. */
export const byChannel: ChannelRule = ({ node, inputs, outputs, identities, why }) => {
  const [x, ...rest] = inputs;
  // Means over an image change with its extents.
  if (node.op === "InstanceNormalization") for (const axis of x!.axes.slice(2)) identities.fix(axis, why);
  for (const other of rest) if (other) identities.uniteAxes(x!.axes[1], other.axes[0], why);
  return outputs.map(({ shape }, i) => (i === 0 ? x!.axes : shape.map(() => undefined)));
};

/** Mean and variance over the axes from `first` on: a channel that goes changes those of all others. */
export function normalised(first: (call: RuleCall) => number): ChannelRule {
  return (call) => {
    const { inputs, outputs, identities, why } = call;
    const [x, ...rest] = inputs;
    x!.axes.forEach((axis, i) => {
      if (i >= first(call)) identities.fix(axis, why);
    });
    for (const other of rest) for (const axis of other?.axes ?? []) identities.fix(axis, why);
    return outputs.map(({ shape }, i) => (i === 0 ? x!.axes : shape.map(() => undefined)));
  };
}
