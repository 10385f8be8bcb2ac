/** A plan run forward: values are freed after their last use. */
import type { Pool, Vec } from "@secateur/core";
import type { Applied } from "../operator.ts";
import { applied } from "../operators/node-facts.ts";
import type { Plan, Step } from "../plan/plan.ts";
import type { Numbers, Value } from "../value.ts";

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
  const run = startGraph(spec);
  run.advance(spec.plan.steps.length);
  const outputs = new Map([...spec.plan.outputs].map(([name, slot]) => [name, copied(run.values[slot]!)]));
  run.release();
  return outputs;
}

/** Starts a run that goes on when it is told to. */
export function startGraph(spec: RunSpec): GraphRun {
  const { plan, pool } = spec;
  const values = startValues(spec);
  const counts = new Map<Numbers, number>();
  let next = spec.range?.[0] ?? 0;
  const drop = (data: Numbers): void => {
    const count = counts.get(data);
    if (count === undefined) return;
    if (count > 1) counts.set(data, count - 1);
    else {
      counts.delete(data);
      pool.give(data as Vec);
    }
  };
  const take = (s: number): void => {
    const step = plan.steps[s]!;
    const applied = applyStep(step, { values, plan, pool });
    for (const vector of applied.kept ?? []) pool.give(vector);
    step.outputs.forEach((slot, i) => {
      const data = applied.outputs[i]!;
      values[slot] = { ...step.types[i]!, data };
      const isOwn = step.types[i]!.kind === "real" && !isBorrowed(data, step, values, counts);
      if (isOwn || counts.has(data)) counts.set(data, (counts.get(data) ?? 0) + 1);
      if (plan.lastUse[slot]! < 0) drop(data);
    });
    for (const slot of new Set(step.inputs)) {
      if (slot === undefined || plan.lastUse[slot] !== s) continue;
      drop(values[slot]!.data);
      if (!plan.params.has(slot)) values[slot] = undefined;
    }
  };
  return {
    values,
    advance(to) {
      while (next < to) take(next++);
    },
    release() {
      for (const vector of counts.keys()) pool.give(vector as Vec);
      counts.clear();
    },
  };
}

/** Whether an output is the very array of an input that this run does not own. */
function isBorrowed(
  data: Numbers,
  step: Step,
  values: readonly (Value | undefined)[],
  owned: ReadonlyMap<Numbers, number>,
): boolean {
  return !owned.has(data) && step.inputs.some((slot) => slot !== undefined && values[slot]!.data === data);
}

function copied(value: Value): Value {
  return { ...value, data: value.data.slice() };
}

/** Constants, weights and inputs by number. */
export function startValues({ plan, inputs, weights, given }: RunSpec): (Value | undefined)[] {
  const values: (Value | undefined)[] = new Array(plan.types.length).fill(undefined);
  for (const [slot, value] of plan.constants) values[slot] = value;
  for (const [slot, { name, live }] of plan.params) {
    values[slot] = { ...plan.types[slot]!, data: weights?.get(name) ?? live.data };
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
