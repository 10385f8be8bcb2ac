/** A plan run forward: values are freed after their last use. */
import type { Pool, Vec } from "@secateur/core";
import type { Applied } from "../operator.ts";
import type { Plan, Step } from "../plan/plan.ts";
import type { Numbers, Value } from "../value.ts";

/** What a run works with. */
export interface RunSpec {
  readonly plan: Plan;
  readonly inputs: ReadonlyMap<string, Value>;
  readonly pool: Pool;
  /** Canonical numbers of the weights to run with; default: as they are now. */
  readonly weights?: ReadonlyMap<string, Vec>;
}

/** Runs a graph. @returns its outputs by name, copied out of the pool */
export function runGraph(spec: RunSpec): ReadonlyMap<string, Value> {
  const { plan, pool } = spec;
  const values = startValues(spec);
  const counts = new Map<Numbers, number>();
  const drop = (data: Numbers): void => {
    const count = counts.get(data);
    if (count === undefined) return;
    if (count > 1) counts.set(data, count - 1);
    else {
      counts.delete(data);
      pool.give(data as Vec);
    }
  };
  plan.steps.forEach((step, s) => {
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
      if (slot !== undefined && plan.lastUse[slot] === s) drop(values[slot]!.data);
    }
  });
  const outputs = new Map([...plan.outputs].map(([name, slot]) => [name, copied(values[slot]!)]));
  for (const vector of counts.keys()) pool.give(vector as Vec);
  return outputs;
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
export function startValues({ plan, inputs, weights }: RunSpec): (Value | undefined)[] {
  const values: (Value | undefined)[] = new Array(plan.types.length).fill(undefined);
  for (const [slot, value] of plan.constants) values[slot] = value;
  for (const [slot, { name, live }] of plan.params) {
    values[slot] = { ...plan.types[slot]!, data: weights?.get(name) ?? live.data };
  }
  for (const [name, slot] of plan.inputs) values[slot] = inputs.get(name);
  return values;
}

/** Applies one step to the values there are. */
export function applyStep(step: Step, at: { values: readonly (Value | undefined)[]; plan: Plan; pool: Pool }): Applied {
  const { operator, node, opset, weights, types, axisOf } = step;
  const inputs = step.inputs.map((slot) => (slot === undefined ? undefined : at.values[slot]));
  const active = step.inputs.map((slot) => slot !== undefined && at.plan.active[slot]!);
  return operator.apply({ node, opset, weights, types, inputs, active, pool: at.pool, ...(axisOf ? { axisOf } : {}) });
}
