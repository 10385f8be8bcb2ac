/** Operators that move whole channels: transposes, parts, joins, repeats. */
import type { Shape } from "../../value.ts";
import { type Axis, fixedIdentity } from "../identities.ts";
import {
  type ChannelRule,
  fixedAxes,
  front,
  frozen,
  listOf,
  numberOf,
  type RuleCall,
  type Traced,
} from "./channel-rule.ts";

/** Transpose. */
export const transposed: ChannelRule = ({ node, inputs }) => {
  const { axes } = inputs[0]!;
  const perm = Array.isArray(node.attributes.perm)
    ? (node.attributes.perm as readonly number[])
    : axes.map((_, i) => axes.length - 1 - i);
  return [perm.map((axis) => axes[axis])];
};

/** Concat: one after the other along its axis, the same along all others. */
export const concatenated: ChannelRule = (call) => {
  const inputs = call.inputs.filter((input) => input !== undefined);
  const [first] = inputs as [Traced];
  const axis = front(numberOf(call, "axis", 0), first.shape.length);
  const joined = first.axes.map((own, i): Axis => {
    if (i === axis) return inOneRow(inputs.map(({ axes, shape }) => ({ axis: axes[i], extent: shape[i]! })));
    for (const other of inputs.slice(1))
      if (first.shape[i] !== 1) call.identities.uniteAxes(own, other.axes[i], call.why);
    return own;
  });
  return [joined];
};

function inOneRow(parts: readonly { axis: Axis; extent: number }[]): Axis {
  if (parts.every(({ axis }) => axis === undefined)) return undefined;
  const out = new Int32Array(parts.reduce((sum, { extent }) => sum + extent, 0)).fill(fixedIdentity);
  let at = 0;
  for (const { axis, extent } of parts) {
    if (axis) out.set(axis, at);
    at += extent;
  }
  return out;
}

/** Split: parts of its axis. */
export const split: ChannelRule = (call) => {
  const { axes, shape } = call.inputs[0]!;
  const axis = front(numberOf(call, "axis", 0), shape.length);
  let at = 0;
  return call.outputs.map((output) => {
    const from = at;
    at += output.shape[axis]!;
    return axes.map((own, i) => (i === axis ? own?.subarray(from, at) : own));
  });
};

/** Slice: ranges of axes, by steps of one; an axis that is taken in larger steps, or as far as the shape of an input says, stays. */
export const sliced: ChannelRule = (call) => {
  const { axes, shape } = call.inputs[0]!;
  const ranges = sliceRanges(call);
  const out = axes.map((own, i): Axis => {
    const range = ranges.get(i);
    if (!range || !own) return own;
    const isSaid = [1, 2, 3, 4].every((input) => call.isSaid(input));
    if (range.step === 1 && isSaid) return own.subarray(range.start, range.end);
    call.identities.fix(own, call.why);
    return undefined;
  });
  return [shape.length === 0 ? [] : out];
};

/** What a Slice takes of each axis that it names, from the front; steps other than 1 have no range. */
export function sliceRanges(
  call: Pick<RuleCall, "node" | "inputs">,
): ReadonlyMap<number, { readonly start: number; readonly end: number; readonly step: number }> {
  const { shape } = call.inputs[0]!;
  const starts = listOf(call, "starts", 1) ?? [];
  const ends = listOf(call, "ends", 2) ?? [];
  const axes = listOf(call, "axes", 3) ?? starts.map((_, i) => i);
  const steps = call.inputs[4]?.data;
  return new Map(
    axes.map((axis, i) => {
      const extent = shape[front(axis, shape.length)]!;
      const place = (at: number): number => Math.min(Math.max(at < 0 ? at + extent : at, 0), extent);
      return [
        front(axis, shape.length),
        { start: place(starts[i]!), end: place(ends[i]!), step: steps?.[i] ?? 1 },
      ] as const;
    }),
  );
}

/** Gather: known places of an axis, or where they come with the data none of it. */
export const gathered: ChannelRule = (call) => {
  const { identities, why } = call;
  const [data, indices] = call.inputs as readonly [Traced, Traced];
  const axis = front(numberOf(call, "axis", 0), data.shape.length);
  const own = data.axes[axis];
  // A scalar takes a slice out; a list of known places puts channels in another order.
  const isOrder = indices.data !== undefined && call.isSaid(1) && indices.shape.length === 1 && own !== undefined;
  if (!isOrder) identities.fix(own, why);
  const extent = data.shape[axis]!;
  const taken: readonly Axis[] = isOrder
    ? [Int32Array.from(indices.data!, (place) => own![place < 0 ? place + extent : place]!)]
    : fixedAxes(indices.shape);
  if (!isOrder) for (const other of indices.axes) identities.fix(other, why);
  return [[...data.axes.slice(0, axis), ...taken, ...data.axes.slice(axis + 1)]];
};

/** Expand: what is not stretched goes on. */
export const expanded: ChannelRule = ({ inputs, outputs }) => {
  const { axes, shape } = inputs[0]!;
  const to = outputs[0]!.shape;
  return [
    to.map((extent, i) => {
      const at = i - to.length + shape.length;
      return at >= 0 && shape[at] === extent ? axes[at] : undefined;
    }),
  ];
};

/** Tile: the same channels again. */
export const tiled: ChannelRule = ({ inputs, outputs }) => {
  const { axes, shape } = inputs[0]!;
  return [
    axes.map((own, i) => {
      const extent = outputs[0]!.shape[i]!;
      return own && extent !== shape[i] ? Int32Array.from({ length: extent }, (_, k) => own[k % own.length]!) : own;
    }),
  ];
};

/** DepthToSpace and SpaceToDepth: the channels that become the pixels of one go together. */
export const depth: ChannelRule = (call) => {
  const { node, inputs, outputs, identities, why } = call;
  const [n, channels, ...space] = inputs[0]!.axes;
  for (const axis of space) identities.fix(axis, why);
  const size = numberOf(call, "blocksize", 1) ** 2;
  const [given, made] = [inputs[0]!.shape[1]!, outputs[0]!.shape[1]!];
  const rest: Shape = outputs[0]!.shape.slice(2);
  if (!channels) return [[n, undefined, ...fixedAxes(rest)]];
  if (node.op === "SpaceToDepth")
    return [[n, Int32Array.from({ length: made }, (_, c) => channels[c % given]!), ...fixedAxes(rest)]];
  const isColumns = node.attributes.mode === "CRD";
  const out = Int32Array.from({ length: made }, (_, c) => channels[isColumns ? c * size : c]!);
  for (let c = 0; c < given; c++) {
    identities.unite(channels[c]!, out[isColumns ? Math.floor(c / size) : c % made]!, why);
  }
  return [[n, out, ...fixedAxes(rest)]];
};

/** Reductions: an axis that is reduced stays, but for sums of absolute values or squares, to which zeros add nothing. */
export const reduced: ChannelRule = (call) => {
  const { node, inputs, outputs, identities, why } = call;
  const { axes, shape } = inputs[0]!;
  if (inputs[1] && !listOf(call, "axes", 1)) return frozen(call);
  const takes = new Set(reducedAxes(call));
  const keeps = outputs[0]!.shape.length === shape.length;
  const out = axes.flatMap((own, i): readonly Axis[] => {
    if (!takes.has(i)) return [own];
    if (!isSum(node.op)) identities.fix(own, why);
    return keeps ? [undefined] : [];
  });
  return [out];
};

/** The axes that a reduction takes; all where it names none. */
export function reducedAxes({ node, inputs }: Pick<RuleCall, "node" | "inputs">): readonly number[] {
  const { shape } = inputs[0]!;
  const named = listOf({ node, inputs }, "axes", 1);
  const all = node.attributes.noop_with_empty_axes === 1 ? [] : shape.map((_, i) => i);
  return (named && named.length > 0 ? named : all).map((axis) => front(axis, shape.length));
}

/** Whether zeros add nothing to a reduction. */
export function isSum(op: string): boolean {
  return op === "ReduceSum" || op === "ReduceL1" || op === "ReduceL2" || op === "ReduceSumSquare";
}
