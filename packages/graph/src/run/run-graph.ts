/** A plan run forward: values are freed after their last use. */
import type { Pool } from "@secateur/core";
import type { Plan, Step } from "../plan/plan.ts";
import type { Value } from "../value.ts";
import { runJoined } from "./joined-run.ts";
import { runsPrograms } from "./programs.ts";
import { applyStep, createOwned, isBorrowed, type Owned, type RunSpec, startValues } from "./steps.ts";

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
  if (runsPrograms(spec.pool) && !spec.range) return runJoined(spec);
  const run = startGraph(spec);
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

function copied(value: Value): Value {
  return { ...value, data: value.data.slice() };
}
