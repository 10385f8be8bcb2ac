/** What the planner wants of an operator: the shape it gives, and its steps. */
import { packedGraph, quoted } from "../errors.ts";
import type { Attribute, PackedOperator, WeightTensor } from "../file/packed-model.ts";
import type { Builder } from "../plan/builder.ts";
import { functions, realWord } from "../plan/kernel-numbers.ts";
import type { Value } from "../plan/value.ts";

/** An operator with what it reads. */
export interface Call {
  readonly operator: PackedOperator;
  readonly inputs: readonly Value[];
  readonly tensors: readonly WeightTensor[];
  /** @throws ERR_PACKED_GRAPH naming the operator */
  refuse(problem: string, remedy?: string): never;
}

/** One kind of operator. */
export interface OperatorKind {
  /** How many values it reads, at least and at most. */
  readonly inputs: readonly [least: number, most: number];
  /** How many tensors, at least and at most. */
  readonly tensors: readonly [least: number, most: number];
  /** The shape of what it gives; everything wrong with the call is found here. @throws ERR_PACKED_GRAPH */
  dims(call: Call): readonly number[];
  /** Adds its steps; sets where `output` is held. */
  lower(call: Call, output: Value, builder: Builder): void;
}

export function createCall(spec: Pick<Call, "operator" | "inputs" | "tensors">): Call {
  return {
    ...spec,
    refuse(problem, remedy) {
      throw packedGraph(`operator ${quoted(spec.operator.name)} (${quoted(spec.operator.op)})`, problem, remedy);
    },
  };
}

/** Whole numbers of an attribute, within bounds. */
export function wholeNumbers(
  call: Call,
  name: string,
  rule: { readonly length: number; readonly low: number; readonly high?: number; readonly or?: readonly number[] },
): readonly number[] {
  const found: Attribute | undefined = call.operator.attributes[name] ?? rule.or;
  const { length, low, high = 2 ** 20 } = rule;
  if (Array.isArray(found) && found.length === length) {
    const numbers = found as readonly number[];
    if (numbers.every((entry) => Number.isInteger(entry) && entry >= low && entry <= high)) return numbers;
  }
  return call.refuse(`its ${name} are ${shown(found)}; allowed are ${length} whole numbers from ${low} to ${high}`);
}

/** A number of an attribute. */
export function oneNumber(call: Call, name: string, or?: number): number {
  const found = call.operator.attributes[name] ?? or;
  return typeof found === "number" ? found : call.refuse(`its ${name} is ${shown(found)}; it has to be a number`);
}

/** A function of one number. */
export type FunctionName = keyof typeof functions;

/** What a product applies as it stores: the words of its function. */
export function activationWords(call: Call): readonly [number, number, number] {
  const name = call.operator.attributes["activation"] ?? "Identity";
  if (typeof name === "string" && Object.hasOwn(functions, name)) return functionWords(call, name as FunctionName);
  return call.refuse(`its activation is ${shown(name)}; allowed are ${Object.keys(functions).join(", ")}`);
}

/** The words function, low, high, with the numbers that the function takes besides its argument. */
export function functionWords(call: Call, name: FunctionName): readonly [number, number, number] {
  const [low, high] = constantsOf(call, name);
  if (name === "Clip" && !(low <= high)) call.refuse("its low lies above its high");
  return [functions[name], realWord(low), realWord(high)];
}

function constantsOf(call: Call, name: FunctionName): readonly [number, number] {
  if (name === "Clip") return [oneNumber(call, "low"), oneNumber(call, "high")];
  if (name === "HardSwish") return [oneNumber(call, "scale", 1), oneNumber(call, "shift", 0)];
  const usual: Readonly<Record<string, number>> = { HardSigmoid: 0.2, LeakyRelu: 0.01, Elu: 1 };
  return [Object.hasOwn(usual, name) ? oneNumber(call, "alpha", usual[name]) : 0, 0];
}

export function shapeText(dims: readonly number[]): string {
  return `[${dims.slice(0, 8).join(", ")}${dims.length > 8 ? ", ..." : ""}]`;
}

/** An attribute of a file for a message: quoted, and cut. */
function shown(found: Attribute | undefined): string {
  return found === undefined ? "missing" : quoted(JSON.stringify(found));
}

export function sameDims(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((extent, i) => extent === b[i]);
}
