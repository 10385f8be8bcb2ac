/** A plan run forward: values are freed after their last use. */
import type { Pool, Vec } from "@secateur/core";
import type { Applied } from "../operator.ts";
import { applied, ofNode } from "../operators/node-facts.ts";
import type { Plan, Step } from "../plan/plan.ts";
import { type Numbers, sizeOf, type Value } from "../value.ts";
import { joinedPlan, readByUnit, runChain, type Unit } from "./joined-plan.ts";
import { runsPrograms } from "./programs.ts";
import { runLayer } from "./run-layer.ts";

/** What a run works with. */
export interface RunSpec {
  readonly plan: Plan;
  readonly inputs: ReadonlyMap<string, Value>;
  readonly pool: Pool;
  /** Canonical numbers of the weights to run with; default: as they are now. */
  readonly weights?: ReadonlyMap<string, Vec>;
  /** Takes these steps only, from the first up to but without the second; what they read must be in `given`. Default: all. */
  readonly range?: readonly [number, number];
  /** Values that are there before the first step, by number. */
  readonly given?: ReadonlyMap<number, Value>;
}

/** A run on its way. */
export interface GraphRun {
  /** Values by number, as far as they are computed and still needed. */
  readonly values: readonly (Value | undefined)[];
  /** Takes the steps before `to`; those taken already are not taken again. Weights are read as they are then. */
  advance(to: number): void;
  /** Gives everything back to the pool. */
  release(): void;
}

/** Runs a graph. @returns its outputs by name, copied out of the pool */
export function runGraph(spec: RunSpec): ReadonlyMap<string, Value> {
  const { plan } = spec;
  const run = runsPrograms(spec.pool) && !spec.range ? startJoined(spec) : startGraph(spec);
  run.advance(plan.steps.length);
  const outputs = new Map([...plan.outputs].map(([name, slot]) => [name, copied(run.values[slot]!)]));
  run.release();
  return outputs;
}

/** Starts a run that goes on when it is told to. */
export function startGraph(spec: RunSpec): GraphRun {
  const { plan, pool } = spec;
  const values = startValues(spec);
  const owned = createOwned(pool);
  let next = spec.range?.[0] ?? 0;
  const take = (s: number): void => {
    takeStep(plan.steps[s]!, { plan, pool, values, owned, isRead: (slot) => plan.lastUse[slot]! >= 0 });
    letGo(plan.steps[s]!.inputs, { plan, values, owned, isLast: (slot) => plan.lastUse[slot] === s });
  };
  return {
    values,
    advance(to) {
      while (next < to) take(next++);
    },
    release: () => owned.release(),
  };
}

/** As `startGraph`, with chains of elementwise steps taken in one pass over memory: the same numbers, but no values in between. */
function startJoined(spec: RunSpec): GraphRun {
  const { plan, pool } = spec;
  const values = startValues(spec);
  const owned = createOwned(pool);
  const { units, lastUse } = joinedPlan(plan);
  const take = (unit: Unit, u: number): void => {
    const { step, chain, layer } = unit;
    const slot = step.outputs[0]!;
    const type = step.types[0]!;
    /** Whether a value may be written over, because nothing reads it or another value with its numbers any more. */
    const mayOverwrite = (input: number): boolean => lastUse[input] === u && owned.count(values[input]!.data) === 1;
    const put = (out: Vec): void => {
      values[slot] = { ...type, data: out };
      owned.add(out);
    };
    if (chain) {
      const out = pool.take(sizeOf(type.shape));
      runChain(
        chain,
        chain.inputs.map((input) => values[input]!),
        { pool, shape: type.shape, out },
      );
      put(out);
    } else if (layer) {
      const { sum } = layer;
      const given = layer.step.inputs[layer.view.weights]!;
      const param = plan.params.get(given);
      // What is read from files or computed is in another array each time.
      const reuse = param ? !spec.weights && !param.tensor.distant : plan.constants.has(given);
      const run = { values, pool, reuse, mayOverwrite: sum !== undefined && mayOverwrite(sum) };
      put(ofNode(layer.step.node, () => runLayer(layer, run)));
    } else takeStep(step, { plan, pool, values, owned, isRead: (slot) => lastUse[slot]! >= 0 });
    letGo(readByUnit(unit), { plan, values, owned, isLast: (slot) => lastUse[slot] === u });
  };
  return { values, advance: () => units.forEach(take), release: () => owned.release() };
}

/** Vectors of the pool that values of a run are in, and by how many. */
interface Owned {
  has(data: Numbers): boolean;
  count(data: Numbers): number;
  add(data: Numbers): void;
  drop(data: Numbers): void;
  release(): void;
}

function createOwned(pool: Pool): Owned {
  const counts = new Map<Numbers, number>();
  return {
    has: (data) => counts.has(data),
    count: (data) => counts.get(data) ?? 0,
    add: (data) => counts.set(data, (counts.get(data) ?? 0) + 1),
    drop(data) {
      const count = counts.get(data);
      if (count === undefined) return;
      if (count > 1) counts.set(data, count - 1);
      else {
        counts.delete(data);
        pool.give(data as Vec);
      }
    },
    release() {
      for (const vector of counts.keys()) pool.give(vector as Vec);
      counts.clear();
    },
  };
}

interface RunState {
  readonly plan: Plan;
  readonly pool: Pool;
  readonly values: (Value | undefined)[];
  readonly owned: Owned;
}

function takeStep(
  step: Step,
  { plan, pool, values, owned, isRead }: RunState & { isRead(slot: number): boolean },
): void {
  const applied = applyStep(step, { values, plan, pool });
  for (const vector of applied.kept ?? []) pool.give(vector);
  step.outputs.forEach((slot, i) => {
    const data = applied.outputs[i]!;
    values[slot] = { ...step.types[i]!, data };
    const isOwn = step.types[i]!.kind === "real" && !isBorrowed(data, step, { plan, values, owned });
    if (isOwn || owned.has(data)) owned.add(data);
    if (!isRead(slot)) owned.drop(data);
  });
}

/** Gives up values after their last use. */
function letGo(
  inputs: readonly (number | undefined)[],
  { plan, values, owned, isLast }: Omit<RunState, "pool"> & { isLast(slot: number): boolean },
): void {
  for (const slot of new Set(inputs)) {
    if (slot === undefined || plan.params.has(slot) || !isLast(slot)) continue;
    owned.drop(values[slot]!.data);
    values[slot] = undefined;
  }
}

/** Whether an output is the very array of an input that this run does not own. */
function isBorrowed(data: Numbers, step: Step, { plan, values, owned }: Omit<RunState, "pool">): boolean {
  const isOf = (slot: number | undefined): boolean =>
    slot !== undefined && !plan.params.has(slot) && values[slot]!.data === data;
  return !owned.has(data) && step.inputs.some(isOf);
}

function copied(value: Value): Value {
  return { ...value, data: value.data.slice() };
}

/** Constants, weights and inputs by number. */
export function startValues({ plan, inputs, weights, given }: RunSpec): (Value | undefined)[] {
  const values: (Value | undefined)[] = new Array(plan.types.length).fill(undefined);
  for (const [slot, value] of plan.constants) values[slot] = value;
  for (const [slot, { name, live }] of plan.params) {
    const type = plan.types[slot]!;
    const given = weights?.get(name);
    // Weights that are read from files are read when a step takes them.
    values[slot] = given
      ? { ...type, data: given }
      : {
          ...type,
          get data() {
            return live.data;
          },
        };
  }
  for (const [name, slot] of plan.inputs) values[slot] = inputs.get(name);
  for (const [slot, value] of given ?? []) values[slot] = value;
  return values;
}

/** Applies one step to the values there are. */
export function applyStep(step: Step, at: { values: readonly (Value | undefined)[]; plan: Plan; pool: Pool }): Applied {
  const { operator, node, opset, weights, types, axisOf } = step;
  const inputs = step.inputs.map((slot) => (slot === undefined ? undefined : at.values[slot]));
  const active = step.inputs.map((slot) => slot !== undefined && at.plan.active[slot]!);
  const rest = axisOf ? { axisOf } : {};
  return applied(operator, { node, opset, weights, types, inputs, active, pool: at.pool, ...rest });
}
