/** A run that remembers, so that deltas can go back and tangents forward through it, any number of times. */
import type { Pool, Vec } from "@secateur/core";
import { noDerivative } from "../errors.ts";
import type { Applied, WeightSink } from "../operator.ts";
import { describeNode } from "../operators/node-facts.ts";
import type { Step } from "../plan/plan.ts";
import { type Numbers, sizeOf, type Value } from "../value.ts";
import { applyStep, type RunSpec, startValues } from "./steps.ts";

/** A recorded run. */
export interface Tape {
  /** By name; valid until release. */
  readonly outputs: ReadonlyMap<string, Value>;
  /**
   * Takes dL/doutputs back to the weights. @returns the deltas of the inputs that were asked for when the graph was planned
   * @throws ERR_NO_DERIVATIVE
   */
  backward(deltas: ReadonlyMap<string, Vec>, sink: WeightSink): ReadonlyMap<string, Vec>;
  /** The change of the outputs for changes of weights (canonical) and inputs; zeros where nothing changes. @throws ERR_NO_DERIVATIVE */
  tangent(changeOf: (name: string) => Vec | undefined): ReadonlyMap<string, Vec>;
  /** Gives everything back to the pool. */
  release(): void;
}

/** What is recorded. */
export interface TapeSpec extends RunSpec {
  /** What the tape calls outputs, by number; default: the plan's. */
  readonly outputs?: ReadonlyMap<string, number>;
}

/** Runs and records. Memory: all values and what the operators keep. */
export function recordGraph(given: TapeSpec): Tape {
  const { plan, pool } = given;
  const spec = { range: [0, plan.steps.length] as const, outputs: plan.outputs, ...given };
  const values = startValues(spec);
  const borrowed = new Set<Numbers>(values.flatMap((value) => (value ? [value.data] : [])));
  const owned = new Set<Vec>();
  const applied: Applied[] = [];
  for (let s = spec.range[0]; s < spec.range[1]; s++) {
    const step = plan.steps[s]!;
    const one = applyStep(step, { values, plan, pool });
    applied[s] = one;
    step.outputs.forEach((slot, i) => {
      const data = one.outputs[i]!;
      values[slot] = { ...step.types[i]!, data };
      if (step.types[i]!.kind === "real" && !borrowed.has(data)) owned.add(data as Vec);
    });
    for (const vector of one.kept ?? []) if (!borrowed.has(vector)) owned.add(vector);
  }
  return {
    outputs: new Map([...spec.outputs].map(([name, slot]) => [name, values[slot]!])),
    backward: (deltas, sink) => backward({ ...spec, applied }, deltas, sink),
    tangent: (changeOf) => tangent({ ...spec, applied }, changeOf),
    release() {
      for (const vector of owned) pool.give(vector);
      owned.clear();
    },
  };
}

interface Recorded extends Required<Pick<TapeSpec, "plan" | "pool" | "range" | "outputs">> {
  /** By number of the step. */
  readonly applied: readonly Applied[];
}

function backward(
  { plan, pool, applied, range, outputs }: Recorded,
  given: ReadonlyMap<string, Vec>,
  sink: WeightSink,
): ReadonlyMap<string, Vec> {
  const deltas = new Map<number, Vec>();
  for (const [name, delta] of given) {
    const slot = outputs.get(name);
    if (slot === undefined || !plan.active[slot]) continue;
    accumulate(deltas, { slot, delta: copyOf(delta, pool), pool });
  }
  for (let s = range[1] - 1; s >= range[0]; s--) {
    const step = plan.steps[s]!;
    const own = step.outputs.map((slot) => deltas.get(slot));
    if (own.every((delta) => delta === undefined)) continue;
    for (const slot of step.outputs) deltas.delete(slot);
    const call = applied[s]!.backward ?? lacking(step, "backward");
    // Only Split tells its outputs apart; elsewhere further outputs are statistics that nothing differentiates.
    if (own[0] === undefined && step.operator.name !== "Split")
      own[0] = pool.take(sizeOf(step.types[0]!.shape)).fill(0);
    const results = call(own, sink);
    results.forEach((delta, i) => {
      const slot = step.inputs[i];
      if (delta === undefined) return;
      if (slot !== undefined && plan.active[slot] && !plan.params.has(slot)) accumulate(deltas, { slot, delta, pool });
      else pool.give(delta);
    });
  }
  const wanted = [...plan.inputs].flatMap(([name, slot]) =>
    deltas.has(slot) ? [[name, deltas.get(slot)!.slice()]] : [],
  );
  for (const delta of deltas.values()) pool.give(delta);
  return new Map(wanted as [string, Vec][]);
}

function accumulate(deltas: Map<number, Vec>, { slot, delta, pool }: { slot: number; delta: Vec; pool: Pool }): void {
  const before = deltas.get(slot);
  if (!before) {
    deltas.set(slot, delta);
    return;
  }
  pool.kernels.axpy(1, delta, before);
  pool.give(delta);
}

function copyOf(vector: Vec, pool: Pool): Vec {
  const out = pool.take(vector.length);
  out.set(vector);
  return out;
}

function lacking({ node }: Step, what: string): never {
  throw noDerivative({ node: describeNode(node), what });
}

function tangent(
  { plan, pool, applied }: Recorded,
  changeOf: (name: string) => Vec | undefined,
): ReadonlyMap<string, Vec> {
  const tangents = new Map<number, Vec>();
  const own = new Set<number>();
  for (const [slot, { name }] of plan.params) {
    const change = changeOf(name);
    if (change) tangents.set(slot, change);
  }
  for (const [name, slot] of plan.inputs) {
    const change = plan.active[slot] ? changeOf(name) : undefined;
    if (change) tangents.set(slot, change);
  }
  plan.steps.forEach((step, s) => {
    const given = step.inputs.map((slot) => (slot === undefined ? undefined : tangents.get(slot)));
    const isActive = step.outputs.some((slot) => plan.active[slot]);
    if (isActive && given.some((t) => t !== undefined)) {
      const results = (applied[s]!.tangent ?? lacking(step, "tangent"))(given);
      step.outputs.forEach((slot, i) => {
        const t = results[i];
        if (!t) return;
        tangents.set(slot, t);
        own.add(slot);
      });
    }
    for (const slot of new Set(step.inputs)) {
      if (slot === undefined || plan.lastUse[slot] !== s || !own.has(slot)) continue;
      pool.give(tangents.get(slot)!);
      tangents.delete(slot);
      own.delete(slot);
    }
  });
  const outputs = [...plan.outputs].map(([name, slot]): [string, Vec] => {
    const t = tangents.get(slot);
    const size = sizeOf(plan.types[slot]!.shape);
    return [name, t ? t.slice() : pool.dtype === "f64" ? new Float64Array(size) : new Float32Array(size)];
  });
  for (const slot of own) pool.give(tangents.get(slot)!);
  return new Map(outputs);
}
