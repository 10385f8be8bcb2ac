/**
 * A plan whose steps are joined where a value that only one further step reads need not be written out: chains of elementwise steps, whose
 * functions round as the steps would, and products with weights with what follows them, which round once less where a scale and a bias are applied.
 */
import type { ElementwiseStep } from "@secateur/core";
import type { Plan, Step } from "../plan/plan.ts";
import { type Layer, layerOf, readBy, withStep } from "./joined-layers.ts";

/** One pass over memory: a program over values of the plan, by number, then numbers. */
export interface Chain {
  readonly inputs: readonly number[];
  readonly numbers: readonly number[];
  readonly steps: readonly ElementwiseStep[];
}

/** A step of the plan, or the last step of a chain or layer. */
export interface Unit {
  readonly step: Step;
  readonly chain?: Chain;
  readonly layer?: Layer;
}

/** A plan in units. */
export interface JoinedPlan {
  readonly units: readonly Unit[];
  /** Unit after which nothing reads a value; -1 where nothing does. */
  readonly lastUse: readonly number[];
}

/** Functions of one chain: their blocks have to lie in the caches together. */
const mostFunctions = 24;

const known = new WeakMap<Plan, JoinedPlan>();

/** Joins the steps of a plan, once. O(steps) */
export function joinedPlan(plan: Plan): JoinedPlan {
  const before = known.get(plan);
  if (before) return before;
  const joined = join(plan);
  known.set(plan, joined);
  return joined;
}

function join(plan: Plan): JoinedPlan {
  const uses = new Map<number, number>();
  const use = (slot: number | undefined): void => {
    if (slot !== undefined) uses.set(slot, (uses.get(slot) ?? 0) + 1);
  };
  for (const { inputs } of plan.steps) for (const slot of new Set(inputs)) use(slot);
  for (const slot of plan.outputs.values()) use(slot);
  const chains = new Map<number, { readonly step: Step; readonly build: ChainBuilder }>();
  const layers = new Map<number, Layer>();
  const made = new Set<number>();
  const isFree = (slot: number): boolean => made.has(slot) && uses.get(slot) === 1;
  const units: Unit[] = [];
  for (const step of plan.steps) {
    const layer = longerLayer(step, { plan, layers, isFree }) ?? layerOf(step, plan);
    for (const slot of step.outputs) made.add(slot);
    if (layer) {
      layers.set(step.outputs[0]!, layer);
      units.push({ step, layer });
      continue;
    }
    if (!step.program) {
      units.push({ step });
      continue;
    }
    const build = startChain(step, (slot) => {
      const { data = [], kind } = plan.constants.get(slot) ?? {};
      if (data.length === 1 && kind === "real" && !plan.live.has(slot)) return data[0]!;
      const one = chains.get(slot);
      const isSame = one && uses.get(slot) === 1 && one.step.types[0]!.shape.join() === step.types[0]!.shape.join();
      return isSame ? one.build : undefined;
    });
    chains.set(step.outputs[0]!, { step, build });
    units.push({ step, chain: finishChain(build) });
  }
  // What a later chain or layer took in is not computed by itself.
  const taken = new Set([...chains.values()].flatMap(({ build }) => [...build.taken]));
  const kept = units.filter(({ step, chain, layer }) => {
    const [output] = step.outputs;
    return layer ? layers.has(output!) : !chain || !taken.has(output!);
  });
  const lastUse = plan.types.map(() => -1);
  kept.forEach((unit, u) => {
    for (const slot of readByUnit(unit)) lastUse[slot] = u;
  });
  for (const slot of plan.outputs.values()) lastUse[slot] = kept.length;
  return { units: kept, lastUse };
}

/** Values that a unit reads. */
export function readByUnit({ step, chain, layer }: Unit): readonly number[] {
  if (layer) return readBy(layer);
  return chain?.inputs ?? step.inputs.filter((slot) => slot !== undefined);
}

/** The layer that a step goes on, taken out of `layers`: of two, the one that came last. */
function longerLayer(
  step: Step,
  at: { plan: Plan; layers: Map<number, Layer>; isFree: (slot: number) => boolean },
): Layer | undefined {
  const inputs = [...new Set(step.inputs)].filter((slot) => slot !== undefined).sort((a, b) => b - a);
  for (const slot of inputs) {
    const before = at.layers.get(slot);
    const layer = before && at.isFree(slot) ? withStep(before, step, at) : undefined;
    if (!layer) continue;
    at.layers.delete(slot);
    return layer;
  }
  return undefined;
}

/** A value of a chain that is not numbered yet. */
type Reference = { readonly slot: number } | { readonly number: number } | { readonly function: number };

interface ChainBuilder {
  readonly functions: readonly (readonly [name: ElementwiseStep[0], ...values: Reference[]])[];
  readonly taken: ReadonlySet<number>;
}

/** The functions of a step behind those of the chains that its inputs come from; an input may also be one known number. */
function startChain(step: Step, sourceOf: (slot: number) => ChainBuilder | number | undefined): ChainBuilder {
  const { inputs: count, numbers, steps } = step.program!;
  const functions: ChainBuilder["functions"][number][] = [];
  const taken = new Set<number>();
  const places = new Map<number, Reference>();
  for (const slot of new Set(step.inputs.slice(0, count) as number[])) {
    const chain = sourceOf(slot);
    if (typeof chain === "number") {
      places.set(slot, { number: chain });
      continue;
    }
    if (!chain || functions.length + chain.functions.length + steps.length > mostFunctions) {
      places.set(slot, { slot });
      continue;
    }
    const shift = functions.length;
    const moved = (value: Reference): Reference => ("function" in value ? { function: value.function + shift } : value);
    functions.push(...chain.functions.map(([name, ...values]) => [name, ...values.map(moved)] as const));
    places.set(slot, { function: functions.length - 1 });
    taken.add(slot);
    for (const other of chain.taken) taken.add(other);
  }
  const start = functions.length;
  const referenceTo = (value: number): Reference => {
    if (value < count) return places.get(step.inputs[value]!)!;
    const place = value - count;
    return place < numbers.length ? { number: numbers[place]! } : { function: start + place - numbers.length };
  };
  functions.push(...steps.map(([name, ...values]) => [name, ...values.map(referenceTo)] as const));
  return { functions, taken };
}

/** Numbers the values: inputs, then numbers, then functions. */
function finishChain({ functions }: ChainBuilder): Chain {
  const all = functions.flatMap(([, ...values]) => values);
  const inputs = [...new Set(all.flatMap((value) => ("slot" in value ? [value.slot] : [])))];
  const numbers = [...new Set(all.flatMap((value) => ("number" in value ? [value.number] : [])))];
  const placeOf = (value: Reference): number => {
    if ("slot" in value) return inputs.indexOf(value.slot);
    if ("number" in value) return inputs.length + numbers.indexOf(value.number);
    return inputs.length + numbers.length + value.function;
  };
  return { inputs, numbers, steps: functions.map(([name, ...values]) => [name, ...values.map(placeOf)] as const) };
}
