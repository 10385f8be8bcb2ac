/**
 * Which groups of channels can go without a change of the outputs: at every sum of products that takes them, what they would add is nothing (the
 * channel or its weights are zeros), or a constant that a bias can take over. Everything else either works channel by channel or has fixed them.
 */
import type { Step } from "../plan/plan.ts";
import { sizeOf } from "../value.ts";
import { type ChannelValues, isPadded } from "./channel-values.ts";
import type { Axis } from "./identities.ts";
import { numberOf } from "./rules/channel-rule.ts";
import { isSum, reducedAxes } from "./rules/moving.ts";
import { type TracedGraph, tracedOf } from "./trace-channels.ts";

/** A sum of products over an axis of one value, perhaps with one of another. */
export interface ChannelSum {
  readonly step: Step;
  readonly slot: number;
  readonly axis: number;
  readonly weight?: { readonly slot: number; readonly axis: number };
  /** Whether a constant that a channel adds can go into a bias. */
  readonly canFold: boolean;
}

/** The sums over channels of a graph. */
export function channelSums(traced: TracedGraph, own: ReadonlySet<unknown>): readonly ChannelSum[] {
  const { plan, tensors } = traced;
  // Biases are written as f32, so what they stand beside has to be.
  const weights = new Set([...tensors].flatMap(([{ dtype }, slot]) => (dtype === "f32" ? [slot] : [])));
  return plan.steps.flatMap((step): readonly ChannelSum[] => {
    const { op } = step.node;
    const [x = 0, w = 0, b] = step.inputs as readonly number[];
    const rank = (slot: number): number => plan.types[slot]!.shape.length;
    // An offset of its own for every row takes no constant over.
    const isRow = (slot: number): boolean => sizeOf(plan.types[slot]!.shape) === (plan.types[slot]!.shape.at(-1) ?? 1);
    const hasBias = (b === undefined || (weights.has(b) && isRow(b))) && numberOf(step, "beta", 1) !== 0;
    const isTensor = weights.has(w) && hasBias && own.has(step.node);
    if (op === "Conv" || op === "ConvTranspose") {
      const groups = numberOf(step, "group", 1);
      // A depthwise group goes with all it makes.
      const isDepthwise = groups > 1 && plan.types[x]!.shape[1] === groups;
      const canFold = op === "Conv" && groups === 1 && isTensor && !isPadded(step);
      return isDepthwise ? [] : [{ step, slot: x, axis: 1, weight: { slot: w, axis: op === "Conv" ? 1 : 0 }, canFold }];
    }
    if (op === "Gemm") {
      const axis = numberOf(step, "transA", 0) === 1 ? 0 : 1;
      return [
        {
          step,
          slot: x,
          axis,
          weight: { slot: w, axis: numberOf(step, "transB", 0) === 1 ? 1 : 0 },
          canFold: isTensor,
        },
      ];
    }
    if (op === "MatMul") {
      const weight = { slot: w, axis: Math.max(0, rank(w) - 2) };
      return [{ step, slot: x, axis: rank(x) - 1, weight, canFold: isTensor && rank(w) === 2 }];
    }
    if (!isSum(op)) return [];
    const taken = reducedAxes({ node: step.node, inputs: step.inputs.map((slot) => tracedOf(slot, traced)) });
    return taken.map((axis) => ({ step, slot: x, axis, canFold: false }));
  });
}

/** The identities that can go. @param spec.multiple - of which the widths that are left are multiples, where there are as many channels */
export function removableChannels(
  traced: TracedGraph,
  spec: { readonly values: ChannelValues; readonly sums: readonly ChannelSum[]; readonly multiple: number },
): ReadonlySet<number> {
  const { values, sums, multiple } = spec;
  const { known } = values;
  const { identities, axes, tensors } = traced;
  const used = new Set<number>();
  for (const { slot, axis, weight, canFold } of sums) {
    const channels = axes[slot]![axis];
    if (!channels) continue;
    channels.forEach((identity, place) => {
      const number = known[slot]![axis]?.[place] ?? Number.NaN;
      const factors = weight && axes[weight.slot]![weight.axis];
      const factor = factors ? (known[weight.slot]![weight.axis]?.[place % factors.length] ?? Number.NaN) : Number.NaN;
      const adds = number !== 0 && factor !== 0 && !(canFold && Number.isFinite(number));
      if (adds) for (const cause of identities.causesOf(identity)) used.add(cause);
    });
  }
  const found = new Set<number>();
  for (const slot of tensors.values()) {
    for (const axis of axes[slot]!) {
      for (const identity of axis ?? []) {
        for (const cause of identities.causesOf(identity)) if (!used.has(cause)) found.add(cause);
      }
    }
  }
  return withWholeWidths(traced, withoutEmptyAxes(traced, found), multiple);
}

/** Takes channels back until the outputs of every convolution and product are a multiple of so many, or all. */
function withWholeWidths(
  { plan, identities, axes }: TracedGraph,
  asked: ReadonlySet<number>,
  multiple: number,
): ReadonlySet<number> {
  if (multiple === 1) return asked;
  const gone = new Set(asked);
  const isGone = (identity: number): boolean => identities.causesOf(identity).some((cause) => gone.has(cause));
  const widths = new Set(
    plan.steps.flatMap(({ node, outputs: [slot = 0] }): readonly Axis[] => {
      if (node.op === "Conv" || node.op === "ConvTranspose") return [axes[slot]![1]];
      return node.op === "Gemm" || node.op === "MatMul" ? [axes[slot]!.at(-1)] : [];
    }),
  );
  for (let before = -1; before !== gone.size; ) {
    before = gone.size;
    for (const axis of widths) {
      if (!axis) continue;
      const lost = axis.filter(isGone);
      const kept = axis.length - lost.length;
      let lacking = Math.min(axis.length, Math.ceil(kept / multiple) * multiple) - kept;
      for (let i = 0; i < lost.length && lacking > 0; i++) {
        if (!isGone(lost[i]!)) continue;
        for (const cause of identities.causesOf(lost[i]!)) gone.delete(cause);
        lacking--;
      }
    }
  }
  return gone;
}

/** Leaves one channel of every axis. */
export function withoutEmptyAxes(
  { identities, axes }: Pick<TracedGraph, "identities" | "axes">,
  asked: ReadonlySet<number>,
): ReadonlySet<number> {
  const gone = new Set(asked);
  const isGone = (identity: number): boolean => identities.causesOf(identity).some((cause) => gone.has(cause));
  const known = new Set<Axis>();
  for (const axis of axes.flat()) {
    if (!axis || known.has(axis)) continue;
    known.add(axis);
    if (axis.every(isGone)) for (const cause of identities.causesOf(axis[0]!)) gone.delete(cause);
  }
  return gone;
}
