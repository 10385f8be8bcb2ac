/** Sums of products: a channel that is summed over is one of the weight's inputs, and its outputs are new channels. */
import type { Axis } from "../identities.ts";
import { type ChannelRule, fixedAxes, numberOf, type RuleCall, type Traced } from "./channel-rule.ts";

/** MatMul: the last axis of the first with the second to last of the second; axes before those are stretched. */
export const matmul: ChannelRule = ({ inputs, outputs, identities, why }) => {
  const [a, b] = inputs as readonly [Traced, Traced];
  const [left, right] = [
    a.axes.length === 1 ? [undefined, ...a.axes] : a.axes,
    b.axes.length === 1 ? [...b.axes, undefined] : b.axes,
  ];
  const [leftShape, rightShape] = [
    a.axes.length === 1 ? [1, ...a.shape] : a.shape,
    b.axes.length === 1 ? [...b.shape, 1] : b.shape,
  ];
  identities.uniteAxes(left.at(-1), right.at(-2), why);
  const { shape } = outputs[0]!;
  const own = [...(a.axes.length === 1 ? [] : [left.at(-2)]), ...(b.axes.length === 1 ? [] : [right.at(-1)])];
  const outer = shape.length - own.length;
  const batch = Array.from({ length: outer }, (_, i): Axis => {
    const sides = (
      [
        [left, leftShape],
        [right, rightShape],
      ] as const
    ).flatMap(([axes, extents]): readonly Axis[] => {
      const at = i - outer + axes.length - 2;
      return at >= 0 && extents[at] === shape[i] && shape[i] !== 1 ? [axes[at]] : [];
    });
    if (sides.length === 2) identities.uniteAxes(sides[0], sides[1], why);
    return sides[0];
  });
  return [[...batch, ...own]];
};

/** Gemm: as the flags turn its matrices; the offset is stretched to the output. */
export const gemm: ChannelRule = (call) => {
  const { inputs, outputs, identities, why } = call;
  const [a, b, c] = inputs as readonly [Traced, Traced, Traced | undefined];
  const [rows, inner] = numberOf(call, "transA", 0) ? [a.axes[1], a.axes[0]] : a.axes;
  const [own, cols] = numberOf(call, "transB", 0) ? [b.axes[1], b.axes[0]] : b.axes;
  identities.uniteAxes(inner, own, why);
  const out = [rows, cols];
  c?.axes.forEach((axis, i) => {
    const at = i + 2 - c.axes.length;
    if (c.shape[i] === outputs[0]!.shape[at] && c.shape[i] !== 1) identities.uniteAxes(out[at], axis, why);
  });
  return [out];
};

/**
 * Conv, weights [out, in / groups, ...]. Of one group: channels are the weight's. Depthwise (one input a group): a group goes with its input and
 * all its outputs. Else as many have to go from every group, so that the same places of all groups are one.
 */
export const conv: ChannelRule = (call) => {
  const { inputs, outputs, identities, why } = call;
  const [x, w, bias] = inputs as readonly [Traced, Traced, Traced | undefined];
  const [out, own, ...taps] = w.axes;
  for (const axis of taps) identities.fix(axis, "");
  for (const axis of x.axes.slice(2)) identities.fix(axis, why);
  if (bias) identities.uniteAxes(out, bias.axes[0], why);
  const groups = numberOf(call, "group", 1);
  if (groups === 1) identities.uniteAxes(x.axes[1], own, why);
  else if (w.shape[1] === 1) tieToInputs(call, out, x.axes[1]);
  else {
    tieGroups(call, { outer: x.axes[1], inner: own, groups });
    tieGroups(call, { outer: out, groups });
  }
  return [[x.axes[0], out, ...fixedAxes(outputs[0]!.shape.slice(2))]];
};

/** ConvTranspose, weights [in, out / groups, ...]: as Conv. */
export const convTranspose: ChannelRule = (call) => {
  const { inputs, outputs, identities, why } = call;
  const [x, w, bias] = inputs as readonly [Traced, Traced, Traced | undefined];
  const [own, each, ...taps] = w.axes;
  for (const axis of taps) identities.fix(axis, "");
  for (const axis of x.axes.slice(2)) identities.fix(axis, why);
  const groups = numberOf(call, "group", 1);
  identities.uniteAxes(x.axes[1], own, why);
  const out = groups === 1 ? each : (bias?.axes[0] ?? identities.fresh(outputs[0]!.shape[1]!));
  if (bias) identities.uniteAxes(out, bias.axes[0], why);
  if (groups > 1 && x.shape[1] === groups) {
    tieToInputs(call, out, x.axes[1]);
    if (w.shape[1] !== 1) identities.fix(each, why);
  } else if (groups > 1) {
    tieGroups(call, { outer: out, inner: each, groups });
    tieGroups(call, { outer: own, groups });
  }
  return [[x.axes[0], out, ...fixedAxes(outputs[0]!.shape.slice(2))]];
};

/** Each input with the outputs of its group. */
function tieToInputs({ identities, why }: RuleCall, outputs: Axis, inputs: Axis): void {
  if (!outputs || !inputs) {
    identities.uniteAxes(outputs ?? inputs, undefined, why);
    return;
  }
  const each = outputs.length / inputs.length;
  for (let c = 0; c < outputs.length; c++) identities.unite(outputs[c]!, inputs[Math.floor(c / each)]!, why);
}

/** The same place of every group is one; `inner` are the places of one group, where they are an axis of their own. */
function tieGroups({ identities, why }: RuleCall, spec: { outer: Axis; inner?: Axis; groups: number }): void {
  const { outer, groups } = spec;
  const inner = "inner" in spec ? spec.inner : outer?.subarray(0, outer.length / groups);
  if (!outer || !inner) {
    identities.uniteAxes(outer ?? inner, undefined, why);
    return;
  }
  for (let c = 0; c < outer.length; c++) identities.unite(outer[c]!, inner[c % inner.length]!, why);
}
