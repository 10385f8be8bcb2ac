/**
 * What is known of the numbers in channels before anything runs: for every place along an axis that has identities, the number that all of its
 * slice is whatever the inputs are, or NaN. A channel of zeros adds nothing to a sum of products; one of another number adds a constant.
 */
import { createPool, type Pool, referenceKernels } from "@secateur/core";
import { applied } from "../operators/node-facts.ts";
import type { Step } from "../plan/plan.ts";
import { sizeOf, stridesOf, tensorValue, type Value } from "../value.ts";
import { type Axis, createIdentities } from "./identities.ts";
import { front, numberOf } from "./rules/channel-rule.ts";
import { reducedAxes } from "./rules/moving.ts";
import { isElementwise, isMove, ruleOf } from "./rules/rule-table.ts";
import { type TracedGraph, tracedOf } from "./trace-channels.ts";

/** By axis: the number of each place's slice, NaN where it is not known; undefined: nothing is known along it. */
export type ChannelNumbers = readonly (Float64Array | undefined)[];

/** What is known of every value, and the weights by number of their value. */
export interface ChannelValues {
  readonly known: readonly ChannelNumbers[];
  readonly tensors: ReadonlyMap<number, Value>;
}

interface Knowing extends ChannelValues {
  readonly traced: TracedGraph;
  readonly known: ChannelNumbers[];
  readonly pool: Pool;
}

/** O(weights + places of axes, times steps). */
export function channelValues(traced: TracedGraph): ChannelValues {
  const { plan, axes, tensors } = traced;
  const values = new Map<number, Value>();
  const known: ChannelNumbers[] = axes.map(() => []);
  for (const [tensor, slot] of tensors) {
    const { dtype, shape, data } = tensor;
    // Read only: f32 needs no copy.
    const value =
      dtype === "f32" ? { kind: "real" as const, shape, data: data as Float32Array } : tensorValue(tensor, "f64")!;
    values.set(slot, value);
    known[slot] = axes[slot]!.map((axis, i) => axis && uniformSlices(value, i));
  }
  for (const [slot, value] of plan.constants)
    known[slot] = axes[slot]!.map((axis, i) => axis && uniformSlices(value, i));
  const all: Knowing = { traced, known, tensors: values, pool: createPool(referenceKernels, "f64") };
  for (const step of plan.steps) {
    const made = numbersOf(step, all);
    step.outputs.forEach((slot, i) => {
      known[slot] = axes[slot]!.map((axis, a) => (axis ? made[i]?.[a] : undefined));
    });
  }
  return { known, tensors: values };
}

/** The number of every slice along an axis that is one number throughout. */
function uniformSlices({ shape, data }: Value, axis: number): Float64Array {
  const inner = stridesOf(shape)[axis]!;
  const extent = shape[axis]!;
  const out = new Float64Array(extent);
  const isSeen = new Uint8Array(extent);
  for (let i = 0; i < data.length; i++) {
    const place = Math.floor(i / inner) % extent;
    if (isSeen[place] === 0) out[place] = data[i]!;
    else if (out[place] !== data[i]) out[place] = Number.NaN;
    isSeen[place] = 1;
  }
  return out;
}

function numbersOf(step: Step, all: Knowing): readonly (ChannelNumbers | undefined)[] {
  const { op } = step.node;
  if (isElementwise(step.node)) return step.outputs.map((_, i) => (i === 0 ? elementwise(step, all) : undefined));
  if (isMove(step.node)) return moved(step, all);
  if (op === "Concat") return [joined(step, all)];
  if (op === "BatchNormalization") return [normalised(step, all)];
  if (op === "Conv") return [convolved(step, all)];
  if (op === "MatMul" || op === "Gemm") return [multiplied(step, all)];
  if (/Pool$/.test(op) || /^Reduce/.test(op)) return [gathered(step, all)];
  return [];
}

/** The one number that a whole value is, or NaN. */
function uniform(slot: number, { traced, tensors }: Knowing): number {
  const data = (traced.plan.constants.get(slot) ?? tensors.get(slot))?.data;
  if (!data || data.length === 0) return Number.NaN;
  return data.every((number) => number === data[0]) ? data[0]! : Number.NaN;
}

function elementwise(step: Step, all: Knowing): ChannelNumbers {
  const { traced, known } = all;
  const { shape } = step.types[0]!;
  return shape.map((extent, axis) => {
    if (!traced.axes[step.outputs[0]!]![axis]) return undefined;
    const inputs = step.inputs.map((slot) => {
      if (slot === undefined) return undefined;
      const own = traced.plan.types[slot]!;
      const at = axis - shape.length + own.shape.length;
      const isAlong = at >= 0 && own.shape[at] === extent;
      return (isAlong ? known[slot]![at] : undefined) ?? new Float64Array(extent).fill(uniform(slot, all));
    });
    return applyAlong(step, { inputs, extent }, all);
  });
}

/** An elementwise operator on one number a channel. */
function applyAlong(
  step: Step,
  { inputs, extent }: { inputs: readonly (Float64Array | undefined)[]; extent: number },
  { traced, pool }: Knowing,
): Float64Array {
  const { node, opset, operator } = step;
  const out = new Float64Array(extent).fill(Number.NaN);
  const isKnown = (i: number): boolean => inputs.every((input) => !input || !Number.isNaN(input[i]!));
  const places = Array.from({ length: extent }, (_, i) => i).filter(isKnown);
  if (node.op === "Mul") for (let i = 0; i < extent; i++) if (inputs.some((input) => input?.[i] === 0)) out[i] = 0;
  if (places.length === 0) return out;
  const given = inputs.map((input, i): Value | undefined => {
    if (!input) return undefined;
    const { kind, shape } = traced.plan.types[step.inputs[i]!]!;
    const numbers = Float64Array.from(places, (place) => input[place]!);
    // Operators read limits and the like as scalars.
    const isScalar = sizeOf(shape) === 1;
    const own = isScalar ? numbers.slice(0, 1) : numbers;
    return { kind, shape: isScalar ? [] : [places.length], data: kind === "truth" ? Uint8Array.from(own) : own };
  });
  const isVector = given.some((value) => value?.shape.length === 1 && value.shape[0] === places.length);
  if (!isVector) return out;
  const types = [{ shape: [places.length], kind: step.types[0]!.kind }];
  const { outputs } = applied(operator, { node, opset, inputs: given, types, weights: [], active: [], pool });
  places.forEach((place, i) => {
    out[place] = outputs[0]![i]!;
  });
  return out;
}

/** Operators that move numbers: their rule says where each place came from. */
function moved(step: Step, { traced, known }: Knowing): readonly ChannelNumbers[] {
  const { node, opset } = step;
  const identities = createIdentities();
  const [first] = step.inputs as readonly [number];
  const own = traced.axes[first]!.map((axis): Axis => axis && identities.fresh(axis.length));
  const call = {
    ...{ node, opset, identities, why: "", isSaid: () => true },
    inputs: step.inputs.map((slot, i) => {
      if (slot === undefined) return undefined;
      const type = traced.plan.types[slot]!;
      const data = traced.plan.constants.get(slot)?.data;
      return { ...type, axes: i === 0 ? own : type.shape.map(() => undefined), ...(data ? { data } : {}) };
    }),
    outputs: step.types,
  };
  const made = ruleOf(node)(call);
  const places = own.flatMap((axis, a) =>
    axis
      ? Array.from(axis, (identity, i) => ({
          causes: identities.causesOf(identity),
          number: known[first]![a]?.[i] ?? Number.NaN,
        }))
      : [],
  );
  const byCause = new Map<number, (typeof places)[number][]>();
  for (const place of places)
    for (const cause of place.causes) byCause.set(cause, [...(byCause.get(cause) ?? []), place]);
  const numberOfPlace = (identity: number): number => {
    const causes = identities.causesOf(identity);
    const near = [...new Set(causes.flatMap((cause) => byCause.get(cause) ?? []))];
    // A slice within a slice of one number is of that number; one made of several slices is where all are of the same.
    const around = near.find(
      ({ causes: other, number }) => !Number.isNaN(number) && other.every((cause) => causes.includes(cause)),
    );
    if (around) return around.number;
    const within = near.filter(({ causes: other }) => causes.every((cause) => other.includes(cause)));
    const [one] = within;
    return one && within.every(({ number }) => number === one.number) ? one.number : Number.NaN;
  };
  return made.map((axes) => axes.map((axis) => axis && Float64Array.from(axis, numberOfPlace)));
}

function joined(step: Step, { traced, known }: Knowing): ChannelNumbers {
  const { shape } = step.types[0]!;
  const axis = front(numberOf(step, "axis", 0), shape.length);
  const out = new Float64Array(shape[axis]!).fill(Number.NaN);
  let at = 0;
  for (const slot of step.inputs) {
    const own = known[slot!]![axis];
    if (own) out.set(own, at);
    at += traced.plan.types[slot!]!.shape[axis]!;
  }
  return shape.map((_, i) => (i === axis ? out : undefined));
}

function normalised(step: Step, { known, tensors }: Knowing): ChannelNumbers {
  const [x, ...others] = step.inputs as readonly number[];
  const [scale, bias, mean, variance] = others.map((slot) => tensors.get(slot)?.data);
  if (!scale || !bias || !mean || !variance) return [];
  const epsilon = numberOf(step, "epsilon", 1e-5);
  const own = known[x!]![1];
  const out = Float64Array.from(scale, (factor, c) => {
    if (factor === 0) return bias[c]!;
    return (factor * ((own?.[c] ?? Number.NaN) - mean[c]!)) / Math.sqrt(variance[c]! + epsilon) + bias[c]!;
  });
  return [undefined, out];
}

/** Whether a window operator puts zeros around its images. */
export function isPadded({ node }: Pick<Step, "node">): boolean {
  const { pads, auto_pad: auto } = node.attributes;
  if (typeof auto === "string" && auto.startsWith("SAME")) return true;
  return Array.isArray(pads) && pads.some((pad) => pad !== 0);
}

function convolved(step: Step, { traced, known, tensors }: Knowing): ChannelNumbers {
  const [x, w, b] = step.inputs;
  const weight = tensors.get(w!);
  const bias = b === undefined ? undefined : tensors.get(b);
  if (!weight || (b !== undefined && !bias)) return [];
  const [outputs = 0, each = 0] = weight.shape;
  const groups = traced.plan.types[x!]!.shape[1]! / each;
  const numbers = known[x!]![1];
  const taps = weight.data.length / (outputs * each);
  const padded = isPadded(step);
  const out = Float64Array.from({ length: outputs }, (_, o) => {
    const first = Math.floor(o / (outputs / groups)) * each;
    let sum = bias?.data[o] ?? 0;
    for (let i = 0; i < each; i++) {
      const number = numbers?.[first + i] ?? Number.NaN;
      for (let t = 0; t < taps; t++) {
        const factor = weight.data[(o * each + i) * taps + t]!;
        if (factor === 0 || number === 0) continue;
        sum += padded ? Number.NaN : factor * number;
      }
    }
    return sum;
  });
  return [undefined, out];
}

function multiplied(step: Step, { known, tensors }: Knowing): ChannelNumbers {
  const [a, b, c] = step.inputs;
  const weight = tensors.get(b!);
  const { shape } = step.types[0]!;
  const isGemm = step.node.op === "Gemm";
  const left = known[a!]!;
  const along = isGemm && numberOf(step, "transA", 0) === 1 ? left[0] : left.at(-1);
  if (weight?.shape.length !== 2 || shape.length < 2) return [];
  const isTurned = isGemm && numberOf(step, "transB", 0) === 1;
  const [inner, cols] = isTurned ? [weight.shape[1]!, weight.shape[0]!] : (weight.shape as readonly [number, number]);
  const offset = c === undefined ? undefined : tensors.get(c);
  const isRow =
    offset !== undefined && (offset.data.length === 1 || (offset.data.length === cols && offset.shape.at(-1) === cols));
  if (c !== undefined && !isRow) return [];
  const [alpha, beta] = isGemm ? [numberOf(step, "alpha", 1), numberOf(step, "beta", 1)] : [1, 1];
  const out = Float64Array.from({ length: cols }, (_, n) => {
    let sum = 0;
    for (let k = 0; k < inner; k++) {
      const factor = weight.data[isTurned ? n * inner + k : k * cols + n]!;
      const number = along?.[k] ?? Number.NaN;
      if (factor !== 0 && number !== 0) sum += factor * number;
    }
    return alpha * sum + beta * (offset ? offset.data[offset.data.length === 1 ? 0 : n]! : 0);
  });
  return shape.map((_, i) => (i === shape.length - 1 ? out : undefined));
}

/** Pools and reductions over other axes: means and maxima of one number are that number, everything is 0 of zeros. */
function gathered(step: Step, { traced, known }: Knowing): ChannelNumbers {
  const { op, attributes } = step.node;
  const [x] = step.inputs as readonly [number];
  const from = traced.plan.types[x]!.shape;
  const to = step.types[0]!.shape;
  const isMean = /^(Global(Average|Max)Pool|MaxPool|ReduceMean|ReduceMax|ReduceMin)$/.test(op);
  const isAverage =
    op === "AveragePool" && (attributes.count_include_pad !== 1 || !isPadded(step)) && attributes.ceil_mode !== 1;
  const taken =
    from.length === to.length
      ? []
      : reducedAxes({ node: step.node, inputs: step.inputs.map((slot) => tracedOf(slot, traced)) });
  const gone = new Set(taken);
  const kept = known[x]!.filter((_, axis) => !gone.has(axis));
  return kept.map((own) => own?.map((number) => (isMean || isAverage || number === 0 ? number : Number.NaN)));
}
