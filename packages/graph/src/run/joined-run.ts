/**
 * Runs of a plan with its steps joined (joined-plan.ts). All runs of one plan in one pool take the same steps on arrays of the same sizes, so the first
 * one writes down which vectors each unit took and which calls of the kernels it came to, and the next ones repeat them: what is decided of shapes,
 * lifetimes and addresses is decided once. What may differ from run to run is looked at every time: the inputs, which array holds a weight, numbers
 * of statistics and biases. A unit that takes or gives other vectors than the first time (a step whose result depends on numbers, such as a
 * normalisation that has become the identity) ends the repetition; the run begins anew.
 */
import type { Pool, Vec } from "@secateur/core";
import { ofNode } from "../operators/node-facts.ts";
import type { Plan } from "../plan/plan.ts";
import { type Numbers, sizeOf, type Value } from "../value.ts";
import { bindChain } from "./bound-chain.ts";
import { bindLayer } from "./bound-layer.ts";
import { type JoinedPlan, joinedPlan, readByUnit, type Unit } from "./joined-plan.ts";
import { createRecorder, createRepeater, type RunPool } from "./replayed-pool.ts";
import { applyStep, createOwned, isBorrowed, type Owned, type RunSpec, startValues } from "./steps.ts";

/** What one unit did. */
interface UnitRecord {
  /** Vectors that it took, in this order. */
  readonly taken: readonly Vec[];
  /** Its outputs that are vectors of the pool; undefined for others, which are new in every run. */
  readonly outputs: readonly (Vec | undefined)[];
  /** Whether it wrote over the value that it adds. */
  readonly overwrites: boolean;
  /** Does it again, where everything that it reads is in the same place in every run. */
  readonly again: (() => void) | undefined;
}

/** A run that can be repeated. */
interface Recording {
  readonly plan: Plan;
  readonly joined: JoinedPlan;
  readonly values: (Value | undefined)[];
  readonly units: readonly UnitRecord[];
  /** The array of each weight. */
  readonly weights: ReadonlyMap<number, Numbers>;
  /** Gives its vectors back to the pool. */
  release(): void;
}

/** The newest first; two, because the last pass over some data is often a shorter one. */
const recordings = new WeakMap<Pool, readonly Recording[]>();
const mostRecordings = 2;

/** Runs a plan. @returns its outputs by name, copied out of the pool */
export function runJoined(spec: RunSpec): ReadonlyMap<string, Value> {
  const { plan, pool, weights } = spec;
  const all = recordings.get(pool) ?? [];
  const before = weights ? undefined : all.find((one) => one.plan === plan);
  if (before && isRepeated(before, spec)) return outputsOf(before, spec);
  if (weights) {
    const once = record(spec);
    const outputs = outputsOf(once, spec);
    once.release();
    return outputs;
  }
  const kept = all.filter((one) => one !== before).slice(0, mostRecordings - 1);
  for (const one of all) if (!kept.includes(one)) one.release();
  // Whatever a step throws, what is kept holds.
  recordings.set(pool, kept);
  const recording = record(spec);
  recordings.set(pool, [recording, ...kept]);
  return outputsOf(recording, spec);
}

/** Copies the outputs and lets go of what belongs to one run: arrays of the caller, and what was made anew. */
function outputsOf({ values, joined, units, plan }: Recording, { inputs }: RunSpec): ReadonlyMap<string, Value> {
  const outputs = new Map(
    [...plan.outputs].map(([name, slot]) => [name, { ...values[slot]!, data: values[slot]!.data.slice() }] as const),
  );
  for (const [name, slot] of plan.inputs) if (inputs.has(name)) values[slot] = undefined;
  units.forEach((unit, u) => {
    const { step } = joined.units[u]!;
    step.outputs.forEach((slot, i) => {
      if (unit.outputs[i] === undefined) values[slot] = undefined;
    });
  });
  return outputs;
}

/** Runs and writes down what is done. */
function record(spec: RunSpec): Recording {
  const { plan, pool } = spec;
  const joined = joinedPlan(plan);
  const values = startValues(spec);
  const recorder = createRecorder(pool);
  const owned = createOwned(recorder);
  const isSteady = (slot: number): boolean => {
    if (plan.constants.has(slot)) return true;
    const param = plan.params.get(slot);
    if (param) return !spec.weights && !param.tensor.distant;
    return recorder.all.has(values[slot]!.data as Vec);
  };
  const take = (unit: Unit, u: number): UnitRecord => {
    const isLast = (slot: number): boolean => joined.lastUse[slot] === u;
    const { sum } = unit.layer ?? {};
    // Nothing reads it or another value with its numbers any more.
    const overwrites = sum !== undefined && isLast(sum) && owned.count(values[sum]!.data) === 1;
    const read = readByUnit(unit);
    const areSteady = read.every(isSteady);
    recorder.begin();
    const again = runUnit(unit, { spec, pool: recorder, values, overwrites });
    keepOutputs(unit, { plan, values, owned, isRead: (slot) => joined.lastUse[slot]! >= 0 });
    const outputs = unit.step.outputs.map((slot) => {
      const { data } = values[slot]!;
      return recorder.all.has(data as Vec) ? (data as Vec) : undefined;
    });
    for (const slot of new Set(read)) if (!plan.params.has(slot) && isLast(slot)) owned.drop(values[slot]!.data);
    const canRepeat = areSteady && outputs.every((data) => data !== undefined);
    return { taken: recorder.taken(), outputs, overwrites, again: canRepeat ? again : undefined };
  };
  let units: readonly UnitRecord[];
  try {
    units = joined.units.map(take);
  } catch (error) {
    recorder.release();
    throw error;
  }
  // Those in files are read whenever a step takes them.
  const inMemory = [...plan.params].filter(([, { tensor }]) => !tensor.distant);
  const weights = new Map(inMemory.map(([slot, { live }]) => [slot, live.data] as const));
  return { plan, joined, values, units, weights, release: recorder.release };
}

/** Runs as it was recorded. Returns false where the run turns out to be another one; then nothing of it holds. */
function isRepeated({ plan, joined, values, units, weights }: Recording, spec: RunSpec): boolean {
  for (const [slot, data] of weights) if (plan.params.get(slot)!.live.data !== data) return false;
  for (const [name, slot] of plan.inputs) values[slot] = spec.inputs.get(name);
  const repeater = createRepeater(spec.pool);
  for (let u = 0; u < units.length; u++) {
    const { again, taken, outputs, overwrites } = units[u]!;
    if (again) {
      again();
      continue;
    }
    const unit = joined.units[u]!;
    repeater.begin(taken);
    runUnit(unit, { spec, pool: repeater, values, overwrites });
    const isSame = repeater.isDone() && unit.step.outputs.every((slot, i) => isAsBefore(values[slot]!, outputs[i]));
    if (isSame) continue;
    repeater.release();
    return false;
  }
  return true;
}

/** The vector that it was; what was new then must not be an array that later units write over, and a new one never is. */
function isAsBefore({ data }: Value, before: Vec | undefined): boolean {
  return before === undefined || data === before;
}

/** Operators whose output is the array of their input, whatever is in it. */
const handedOn = new Set(["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"]);

/** Runs a unit and sets the values that it makes. @returns what does it again on the same vectors, where that is known */
function runUnit(
  { step, chain, layer }: Unit,
  run: { spec: RunSpec; pool: RunPool; values: (Value | undefined)[]; overwrites: boolean },
): (() => void) | undefined {
  const { spec, pool, values, overwrites } = run;
  const { plan, weights } = spec;
  const [type] = step.types as [Value];
  const [slot] = step.outputs as [number];
  if (chain) {
    const out = pool.take(sizeOf(type.shape));
    const inputs = chain.inputs.map((input) => values[input]!);
    const bound = bindChain(chain, inputs, { pool, shape: type.shape, out });
    bound.run();
    for (const vector of bound.taken) pool.give(vector);
    values[slot] = { ...type, data: out };
    return bound.run;
  }
  if (layer) {
    const given = layer.step.inputs[layer.view.weights]!;
    const param = plan.params.get(given);
    // What is read from files or computed is in another array each time.
    const reuse = param ? !weights && !param.tensor.distant : plan.constants.has(given);
    return ofNode(layer.step.node, () => {
      const bound = bindLayer(layer, { values, pool, reuse, mayOverwrite: overwrites });
      bound.run();
      for (const vector of bound.taken) pool.give(vector);
      values[slot] = { ...type, data: bound.out };
      return bound.run;
    });
  }
  const applied = applyStep(step, { values, plan, pool });
  for (const vector of applied.kept ?? []) pool.give(vector);
  step.outputs.forEach((output, i) => {
    values[output] = { ...step.types[i]!, data: applied.outputs[i]! };
  });
  const isHandedOn = handedOn.has(step.operator.name) && applied.outputs[0] === values[step.inputs[0]!]!.data;
  return isHandedOn ? () => {} : undefined;
}

/** Counts who uses the vectors that the outputs of a unit are in; gives back those that nobody reads. */
function keepOutputs(
  { step, chain, layer }: Unit,
  at: { plan: Plan; values: readonly (Value | undefined)[]; owned: Owned; isRead(slot: number): boolean },
): void {
  const { values, owned, isRead } = at;
  for (const slot of step.outputs) {
    const { kind, data } = values[slot]!;
    // A chain or a layer writes to a vector that it took, or that it counts among its own already.
    const isOwn = chain !== undefined || layer !== undefined || (kind === "real" && !isBorrowed(data, step, at));
    if (isOwn || owned.has(data)) owned.add(data);
    if (!isRead(slot)) owned.drop(data);
  }
}
