/** What runs of a plan are made of: the values that they begin with, one step applied, and which vectors of the pool are still in use. */
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

/** Vectors of the pool that values of a run are in, and by how many. */
export interface Owned {
  has(data: Numbers): boolean;
  count(data: Numbers): number;
  add(data: Numbers): void;
  drop(data: Numbers): void;
  release(): void;
}

/** Counts none. */
export function createOwned(pool: Pool): Owned {
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

/** Whether an output is the very array of an input that this run does not own. */
export function isBorrowed(
  data: Numbers,
  step: Step,
  { plan, values, owned }: { plan: Plan; values: readonly (Value | undefined)[]; owned: Owned },
): boolean {
  const isOf = (slot: number | undefined): boolean =>
    slot !== undefined && !plan.params.has(slot) && values[slot]!.data === data;
  return !owned.has(data) && step.inputs.some(isOf);
}
