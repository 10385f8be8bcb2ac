/**
 * Where in a graph's arrays the examples are. Data and results have them along the first axis. A graph may count them along another one, as recurrent
 * models with arrays [time, batch, features] do: such inputs are turned when they are fed, such outputs when they are read. Inside, the rows of a
 * product are those of one example after the other only where the examples' axis comes first; where it does not, gradients by example are
 * taken one example at a time.
 */
import { isPruneError } from "@secateur/core";
import type { GraphSpec, ValueSpec } from "../graph-spec.ts";
import type { Plan, Step } from "../plan/plan.ts";
import { isRecurrent } from "../plan/recurrent.ts";
import { type Numbers, type Shape, sizeOf } from "../value.ts";

/** What exporters call the axis that counts examples: in full, or in a letter, which says so only beside a time axis. */
const batchName = /^((n|num|mini)_?)?batch(es)?(_?size)?$/i;
const shortName = /^(n|b|bs)$/i;
const timeName = /^(t|time|times|seq|sequence|steps?|frames?)(_?(len|length|steps?))?$/i;

/**
 * The axis of each input and output that counts examples: the one with the name of a batch where the first has another name, and in outputs the one
 * that is called as it is in the inputs; else the first.
 */
export function exampleAxes({ inputs, outputs }: Pick<GraphSpec, "inputs" | "outputs">): ReadonlyMap<string, number> {
  const axes = new Map<string, number>();
  const names = new Set<string>();
  for (const { name, shape = [] } of inputs) {
    const [first] = shape;
    const isTime = typeof first === "string" && timeName.test(first);
    const isBatch = (extent: number | string | null): boolean =>
      typeof extent === "string" && (batchName.test(extent) || (isTime && shortName.test(extent)));
    const axis = Math.max(0, shape.findIndex(isBatch));
    if (axis > 0) axes.set(name, axis);
    const extent = shape[axis];
    if (typeof extent === "string") names.add(extent);
  }
  for (const { name, shape = [] } of outputs) {
    const axis = shape.findIndex((extent) => typeof extent === "string" && names.has(extent));
    if (axis > 0) axes.set(name, axis);
  }
  return axes;
}

/** The input or output as data have it: examples first. */
export function examplesFirst<V extends Pick<ValueSpec, "name" | "shape">>(
  value: V,
  axes: ReadonlyMap<string, number>,
): V {
  const axis = axes.get(value.name);
  if (axis === undefined || !value.shape) return value;
  return { ...value, shape: moved(value.shape, axis, 0) };
}

/** A list with one entry at another place. */
export function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const rest = list.filter((_, i) => i !== from);
  return [...rest.slice(0, to), list[from]!, ...rest.slice(to)];
}

/** The numbers of an array of a shape, with one axis at another place. O(numbers). */
function withMovedAxis<N extends Numbers>(data: N, shape: Shape, [from, to]: readonly [number, number]): N {
  if (from === to) return data;
  const out = data.slice() as N;
  // Axes between the two places as one: [outer, a, b, inner] becomes [outer, b, a, inner].
  const [low, high] = [Math.min(from, to), Math.max(from, to)];
  const inner = sizeOf(shape.slice(high + 1));
  const span = shape.slice(low, high + 1);
  const [a, b] = from < to ? [span[0]!, sizeOf(span.slice(1))] : [sizeOf(span.slice(0, -1)), span.at(-1)!];
  const outer = a * b === 0 ? 0 : data.length / (a * b * inner);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < a; i++) {
      for (let j = 0; j < b; j++) {
        const source = ((o * a + i) * b + j) * inner;
        out.set(data.subarray(source, source + inner), ((o * b + j) * a + i) * inner);
      }
    }
  }
  return out;
}

/** An array with examples first as the graph has it, with them along an axis. */
export function withExamplesAt<N extends Numbers>(
  { shape, data }: { readonly shape: Shape; readonly data: N },
  axis: number,
): { readonly shape: Shape; readonly data: N } {
  return { shape: moved(shape, 0, axis), data: withMovedAxis(data, shape, [0, axis]) };
}

/** An array of a graph, which has examples along an axis, with them first. */
export function withExamplesFirst<N extends Numbers>(
  { shape, data }: { readonly shape: Shape; readonly data: N },
  axis: number,
): { readonly shape: Shape; readonly data: N } {
  return { shape: moved(shape, axis, 0), data: withMovedAxis(data, shape, [axis, 0]) };
}

/** Whether a graph may put another axis before that of the examples. */
export function mayTurn({ nodes }: Pick<GraphSpec, "nodes">): boolean {
  return nodes.some((node) => node.op === "Transpose" || isRecurrent(node));
}

/** Operators that keep the order of numbers. */
const flat = new Set(["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast"]);
/** Operators that may take rows out of their order. */
const picking = new Set(["Gather", "GatherElements", "Slice"]);

/**
 * Whether the rows of every product with a weight are those of one example after the other, told by what grows with the number of examples. "Yes" is
 * certain but for graphs that put their examples in another order among themselves; what cannot be told is "no".
 *
 * @param planFor - plans for so many examples
 */
export function rowsAreByExample(planFor: (examples: number) => Plan): boolean {
  const [two, three] = [2, 3].map((count) => attempted(() => planFor(count)));
  if (!two || !three || two.types.length !== three.types.length || two.steps.length !== three.steps.length)
    return false;
  const makers = new Map<number, Step>(two.steps.flatMap((step) => step.outputs.map((slot) => [slot, step] as const)));
  const known = new Map<number, boolean>();
  const isByExample = (slot: number): boolean => {
    const before = known.get(slot);
    if (before !== undefined) return before;
    known.set(slot, false);
    const found = judged(slot);
    known.set(slot, found);
    return found;
  };
  const growthOf = (slot: number): readonly number[] => {
    const [a, b] = [two.types[slot]!.shape, three.types[slot]!.shape];
    return a.flatMap((extent, axis) => (extent === b[axis] ? [] : [axis]));
  };
  const judged = (slot: number): boolean => {
    const { shape } = two.types[slot]!;
    const axes = growthOf(slot);
    const [axis = 0] = axes;
    if (axes.length === 0) return true;
    if (axes.length > 1 || shape.slice(0, axis).some((extent) => extent !== 1)) return false;
    if (shape[axis] === 2) return true;
    // Several rows of each example: by example where what they are made of is, and neither joined nor turned.
    const maker = makers.get(slot);
    const sources = (maker?.inputs ?? []).filter((input) => input !== undefined && growthOf(input).length > 0);
    return sources.length > 0 && sources.every((input) => isByExample(input!) && isLike(maker!, input!, slot));
  };
  const isLike = ({ operator }: Step, input: number, slot: number): boolean => {
    const [a, b] = [two.types[input]!.shape, two.types[slot]!.shape];
    return flat.has(operator.name) ? sizeOf(a) === sizeOf(b) : a[0] === b[0] && !picking.has(operator.name);
  };
  return two.steps.every(({ weights, inputs }) =>
    weights.every((use) => use === undefined || inputs.every((slot) => slot === undefined || isByExample(slot))),
  );
}

/**
 * Whether an output grows along an axis when one example more goes in: what a model says of its outputs may be wrong, and extents that are equal by chance
 * do not show it. What cannot be planned for another number of examples is taken at its word.
 *
 * @param spec.inputs - shapes that the plan was made for
 * @param spec.axes - of the inputs, where their examples are not along the first
 */
export function growsAlong(
  axis: number,
  output: string,
  spec: {
    readonly plan: Plan;
    readonly inputs: ReadonlyMap<string, { readonly shape: Shape }>;
    readonly axes: ReadonlyMap<string, number>;
    planFor(shapes: ReadonlyMap<string, Shape>): Plan;
  },
): boolean {
  const { plan, inputs, axes, planFor } = spec;
  let more = plansForOneMore.get(plan);
  if (more === undefined) {
    const shapes = new Map<string, Shape>(
      [...inputs].map(([name, { shape }]) => {
        const own = axes.get(name) ?? 0;
        return [name, shape.map((extent, i) => (i === own ? extent + 1 : extent))];
      }),
    );
    more = attempted(() => planFor(shapes)) ?? plan;
    plansForOneMore.set(plan, more);
  }
  const shapeIn = ({ types, outputs }: Plan): Shape => types[outputs.get(output)!]!.shape;
  return more === plan || shapeIn(more)[axis] !== shapeIn(plan)[axis];
}

/** The plan for one example more; the plan itself where there is none. */
const plansForOneMore = new WeakMap<Plan, Plan>();

/** Undefined where the graph cannot be planned so. */
function attempted(plan: () => Plan): Plan | undefined {
  try {
    return plan();
  } catch (error) {
    if (!isPruneError(error)) throw error;
    return undefined;
  }
}
