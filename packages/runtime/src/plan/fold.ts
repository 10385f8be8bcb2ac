/**
 * Operators that become part of the one before them, where it alone is read by them:
 *
 *   BatchNormalization             a ScaleShift: scale = gamma / sqrt(variance + epsilon), shift = beta - scale mean
 *   ScaleShift after Conv or Gemm      W~ = scale W, b~ = scale b + shift
 *   ScaleShift after ScaleShift    one
 *   Add of a Conv's or Gemm's value    its second input, where both have one shape
 *   a function of one value after a product, an operation of two or a ScaleShift    its activation
 *   ScaleShift of one scale and one shift after HardSwish    its scale and shift
 *
 * A sum comes before the activation in every product, so that one that has an activation takes no sum.
 */
import { scaleRows } from "../file/nonzeros.ts";
import type { PackedOperator, PackedValue, WeightTensor } from "../file/packed-model.ts";
import { functions } from "./kernel-numbers.ts";
import { type Dimensioned, valueDims } from "./value-dims.ts";

const products: ReadonlySet<string> = new Set(["Conv", "Gemm"]);
const activating: ReadonlySet<string> = new Set([
  "Conv",
  "Gemm",
  "Add",
  "Mul",
  "Sub",
  "Div",
  "Min",
  "Max",
  "ScaleShift",
]);

/** What is folded: a part of a packed model. */
export interface Foldable extends Dimensioned {
  readonly outputs: readonly PackedValue[];
}

/** Operators and tensors that give the same values with fewer steps. @throws ERR_PACKED_GRAPH */
export function fold(graph: Foldable, batch: number): Pick<Foldable, "operators" | "tensors"> {
  const tensors = new Map(graph.tensors);
  const operators: (PackedOperator | undefined)[] = graph.operators.map((operator) => asScaleShift(operator, tensors));
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const dims = valueDims(graph, batch);
  const shared = sharedTensors(graph.operators);
  /** By value: the place of the operator that gives it, and how many read it. */
  const makers = new Map(operators.map((operator, o) => [operator!.output, o]));
  const reads = new Map<string, number>();
  for (const operator of operators)
    for (const name of new Set(operator!.inputs)) reads.set(name, (reads.get(name) ?? 0) + 1);
  for (let o = 0; o < operators.length; o++) {
    const operator = operators[o]!;
    /** The operator that gives a value which only this one reads. */
    const maker = (name: string): number => {
      const place = outputs.has(name) || reads.get(name) !== 1 ? undefined : makers.get(name);
      return place ?? -1;
    };
    const merged = mergeInto({ operator, operators, maker, tensors, dims, shared });
    if (!merged) continue;
    // It stands where the later one stood: what that one reads besides may be given only shortly before it.
    operators[merged.place] = undefined;
    operators[o] = merged.operator;
    makers.set(merged.operator.output, o);
  }
  const left = operators.filter((operator) => operator !== undefined);
  const used = new Set(left.flatMap((operator) => operator.tensors));
  return { operators: left, tensors: new Map([...tensors].filter(([name]) => used.has(name))) };
}

/** Batch normalisation in its eval form is a scale and a shift a channel. Where its tensors do not fit it stays, and is refused later. */
function asScaleShift(operator: PackedOperator, tensors: Map<string, WeightTensor>): PackedOperator {
  const [gamma, beta, mean, variance] = operator.tensors.map((name) => tensors.get(name)?.data);
  const { epsilon = 1e-5 } = operator.attributes;
  const isWhole =
    gamma && [beta, mean, variance].every((data) => data?.length === gamma.length) && typeof epsilon === "number";
  if (operator.op !== "BatchNormalization" || !isWhole) return operator;
  const scale = Float32Array.from(gamma, (g, c) => g / Math.sqrt(variance![c]! + epsilon));
  const shift = Float32Array.from(beta!, (b, c) => b - scale[c]! * mean![c]!);
  const names = [`${operator.output}.scale`, `${operator.output}.shift`] as const;
  tensors.set(names[0], { dims: [scale.length], data: scale });
  tensors.set(names[1], { dims: [shift.length], data: shift });
  const { activation, low, high } = operator.attributes;
  const kept = Object.entries({ activation, low, high }).filter(([, value]) => value !== undefined);
  return {
    ...operator,
    op: "ScaleShift",
    tensors: names,
    attributes: Object.fromEntries(kept) as PackedOperator["attributes"],
  };
}

interface Merge {
  readonly operator: PackedOperator;
  readonly operators: readonly (PackedOperator | undefined)[];
  readonly maker: (value: string) => number;
  readonly tensors: Map<string, WeightTensor>;
  readonly dims: ReadonlyMap<string, readonly number[]>;
  /** Tensors that several operators have. */
  readonly shared: ReadonlySet<string>;
}

function sharedTensors(operators: readonly PackedOperator[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const shared = new Set<string>();
  for (const { tensors } of operators) {
    for (const name of new Set(tensors)) {
      if (seen.has(name)) shared.add(name);
      seen.add(name);
    }
  }
  return shared;
}

function mergeInto({
  operator,
  operators,
  maker,
  tensors,
  dims,
  shared,
}: Merge): { place: number; operator: PackedOperator } | undefined {
  const { op, inputs, output, attributes } = operator;
  if (Object.hasOwn(functions, op)) {
    const place = maker(inputs[0]!);
    const before = operators[place];
    if (!before || !activating.has(before.op) || before.attributes["activation"] !== undefined) return undefined;
    const activation = { ...attributes, activation: op };
    return { place, operator: { ...before, output, attributes: { ...before.attributes, ...activation } } };
  }
  if (op === "ScaleShift" && attributes["activation"] === undefined) {
    const place = maker(inputs[0]!);
    const before = operators[place];
    const stretched = before && hardSwishScaled(before, operator, tensors);
    if (stretched) return { place, operator: stretched };
    if (before?.op === "ScaleShift" && before.attributes["activation"] === undefined)
      return { place, operator: { ...before, output, tensors: composed(before, operator, tensors) } };
    if (
      !before ||
      !products.has(before.op) ||
      before.inputs.length > 1 ||
      before.attributes["activation"] !== undefined
    )
      return undefined;
    const isShared = shared.has(before.tensors[0]!);
    const names = scaled({ product: before, after: operator, tensors, isShared });
    return { place, operator: { ...before, output, tensors: names } };
  }
  if (op === "Add" && attributes["activation"] === undefined) {
    const [first, second] = inputs as readonly [string, string];
    for (const [own, other] of [
      [first, second],
      [second, first],
    ] as const) {
      const isStretched = dims.get(own)!.join() !== dims.get(other)!.join();
      const place = own === other || isStretched ? -1 : maker(own);
      const before = operators[place];
      if (
        !before ||
        !products.has(before.op) ||
        before.inputs.length > 1 ||
        before.attributes["activation"] !== undefined
      )
        continue;
      return { place, operator: { ...before, output, inputs: [before.inputs[0]!, other] } };
    }
  }
  return undefined;
}

/** Tensors of a product times those of a ScaleShift. `isShared`: others read its weights, which therefore stay as they are. */
function scaled(spec: {
  readonly product: PackedOperator;
  readonly after: PackedOperator;
  readonly tensors: Map<string, WeightTensor>;
  readonly isShared: boolean;
}): readonly string[] {
  const { product, after, tensors, isShared } = spec;
  const [scale, shift] = after.tensors.map((name) => tensors.get(name)!);
  const weights = tensors.get(product.tensors[0]!)!;
  const { data } = weights;
  const bias = product.tensors[1] === undefined ? undefined : tensors.get(product.tensors[1])!;
  const outputs = weights.dims[0]!;
  const biases = Float32Array.from(
    { length: outputs },
    (_, o) => entryOf(scale!, o) * (bias?.data[o] ?? 0) + entryOf(shift!, o),
  );
  const isShift = scale!.data.every((factor) => factor === 1);
  const isOwn = isShared && !isShift;
  const names = [isOwn ? `${product.output}.folded.weight` : product.tensors[0]!, `${product.output}.folded.bias`];
  // A shift alone leaves the weights as they are, so that steps of time go on sharing theirs.
  if (!isShift) tensors.set(names[0]!, { ...weights, data: scaleRows(data, outputs, (o) => entryOf(scale!, o)) });
  tensors.set(names[1]!, { dims: [outputs], data: biases });
  return names;
}

/** HardSwish, alone or as an activation, takes one scale and one shift for all. */
function hardSwishScaled(
  before: PackedOperator,
  { output, tensors: names }: PackedOperator,
  tensors: ReadonlyMap<string, WeightTensor>,
): PackedOperator | undefined {
  const { op, attributes } = before;
  const [scale, shift] = names.map((name) => tensors.get(name)!.data);
  const isIt = op === "HardSwish" || attributes["activation"] === "HardSwish";
  if (!isIt || scale!.length !== 1 || shift!.length !== 1) return undefined;
  const { scale: own = 1, shift: first = 0 } = attributes as Readonly<Record<string, number>>;
  const scaled = { scale: scale![0]! * own, shift: scale![0]! * first + shift![0]! };
  return { ...before, output, attributes: { ...attributes, ...scaled } };
}

/** One ScaleShift after another: s2 (s1 x + t1) + t2. */
function composed(
  first: PackedOperator,
  second: PackedOperator,
  tensors: Map<string, WeightTensor>,
): readonly string[] {
  const of = ({ tensors: names }: PackedOperator): readonly WeightTensor[] => names.map((name) => tensors.get(name)!);
  const [scale, shift] = of(first) as readonly [WeightTensor, WeightTensor];
  const [factor, more] = of(second) as readonly [WeightTensor, WeightTensor];
  const size = Math.max(scale.data.length, factor.data.length);
  const [scales, shifts] = [new Float32Array(size), new Float32Array(size)];
  for (let c = 0; c < size; c++) {
    scales[c] = entryOf(factor, c) * entryOf(scale, c);
    shifts[c] = entryOf(factor, c) * entryOf(shift, c) + entryOf(more, c);
  }
  const names = [`${second.output}.composed.scale`, `${second.output}.composed.shift`] as const;
  tensors.set(names[0], { dims: [size], data: scales });
  tensors.set(names[1], { dims: [size], data: shifts });
  return names;
}

/** The number of a channel, where one may stand for all. */
function entryOf({ data }: WeightTensor, channel: number): number {
  return data[data.length === 1 ? 0 : channel]!;
}
