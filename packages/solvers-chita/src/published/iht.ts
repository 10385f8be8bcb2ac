/**
 * Active-set iterative hard thresholding (CHITA, Benbaki et al. 2023, algorithm 1): steps on a small active set until they
 * stop paying, then one step on all weights; indices it brings in join the set; ends when that step does not pay. Departure: steps are
 * line-searched in the outer loop too, so no Lipschitz constant is estimated. Where a product with all of G is no dearer
 * than one with the gathered active columns (factored rows), the active set is everything. On a support that stays for ten steps
 * conjugate gradients do what steepest descent would need hundreds of steps for; such a re-fit counts as one.
 */

import { type RunContext, type SolveStatus, type Vec, zeros } from "@secateur/core";
import { prunedModel, type QuadraticModel, refit, withPrunedModel } from "@secateur/core/linalg";
import { type Support, union } from "../refit/project.ts";
import { type Iterate, ihtStep, iterateAt, type Projection } from "./iht-step.ts";
import { publishedDefaults } from "./published-defaults.ts";

/** Limits of iterative hard thresholding. */
export interface IhtOptions {
  /** Steps in all, >= 1; default 200. */
  readonly maxIterations?: number | undefined;
  /** Stop when a step lowers Q by less than this fraction of it; default 1e-5. */
  readonly tolerance?: number | undefined;
}

/** What a run gives. */
export interface IhtResult {
  readonly last: Iterate;
  readonly iterations: number;
  readonly status: SolveStatus;
  /** Q at the start and after each step. */
  readonly trace: readonly number[];
}

/**
 * Minimises a row model over the projection's feasible sets.
 *
 * @param spec.start - feasible weights [p], zero outside `support`; not mutated
 * @param spec.project - weights [p] -> feasible support
 * @param spec.candidates - columns to work on first, ascending; those of `support` join them
 */
export async function iht(
  spec: {
    model: QuadraticModel;
    start: Vec;
    support: Support;
    candidates: Uint32Array;
    project: Projection;
  } & IhtOptions,
  ctx: RunContext,
): Promise<IhtResult> {
  const usual = publishedDefaults.iht;
  const { model, project, maxIterations = usual.maxIterations, tolerance = usual.tolerance } = spec;
  let current = await iterateAt(model, spec.start, spec.support);
  const trace = [current.value];
  const record = async (next: Iterate): Promise<boolean> => {
    const pays = current.value - next.value > tolerance * Math.abs(current.value);
    current = next;
    trace.push(next.value);
    await ctx.tick({ task: "solve", done: trace.length - 1, values: { objective: next.value } });
    return pays && trace.length <= maxIterations;
  };
  let active = union(spec.candidates, spec.support.columns);
  let goOn = maxIterations > 0;
  while (goOn) {
    const isSmall = active.length * model.rows < model.productCost;
    const view = isSmall ? await activeView(model, active, project) : wholeView(model, project);
    try {
      let inner = await view.enter(current);
      let stayed = 0;
      let pays = true;
      while (pays && stayed < patience) {
        const next = await ihtStep(view.model, inner, view.project);
        stayed = isSame(next.support.columns, inner.support.columns) ? stayed + 1 : 0;
        inner = next;
        pays = await record(view.leave(inner));
      }
      if (trace.length <= maxIterations) {
        const fitted = await refitted(view.model, inner, ctx);
        if (fitted.value < inner.value) await record(view.leave(fitted));
      }
    } finally {
      view.release();
    }
    goOn = trace.length <= maxIterations && (await record(await ihtStep(model, current, project)));
    active = union(active, current.support.columns);
  }
  return {
    last: current,
    iterations: trace.length - 1,
    status: trace.length > maxIterations ? "max-iterations" : "converged",
    trace,
  };
}

/** Steps on one support after which conjugate gradients take over. */
const patience = 10;
/** Conjugate gradients on a support end here: further ones wait until the support has settled. */
const onSupport = { form: "cg", tolerance: 1e-3, maxIterations: 50 } as const;

/** The iterate re-fitted on its support, as far as a few conjugate-gradient steps go. */
function refitted(model: QuadraticModel, { w, support }: Iterate, ctx: RunContext): Promise<Iterate> {
  const { columns } = support;
  return withPrunedModel(model, columns, async (inner) => {
    const start = inner.w0.map((dense, s) => w[columns[s]!]! - dense);
    const { d } = await refit(inner, { ...onSupport, start }, ctx);
    const fitted = zeros(model.dim, model.dtype);
    for (let s = 0; s < columns.length; s++) fitted[columns[s]!] = inner.w0[s]! + d[s]!;
    return iterateAt(model, fitted, support);
  });
}

function isSame(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** The whole model as a view of itself. */
function wholeView(model: QuadraticModel, project: Projection): ActiveView {
  return { model, project, enter: (outer) => Promise.resolve(outer), leave: (inner) => inner, release: () => {} };
}

interface ActiveView {
  readonly model: QuadraticModel;
  readonly project: Projection;
  enter(outer: Iterate): Promise<Iterate>;
  leave(inner: Iterate): Iterate;
  release(): void;
}

/** The model over the active set, and the way in and out. */
async function activeView(model: QuadraticModel, active: Uint32Array, project: Projection): Promise<ActiveView> {
  const inner = await prunedModel(model, active);
  const place = new Int32Array(model.dim).fill(-1);
  for (let s = 0; s < active.length; s++) place[active[s]!] = s;
  const inward = ({ mask, columns }: Support): Support => ({
    mask,
    columns: columns.filter((column) => place[column]! >= 0).map((column) => place[column]!),
  });
  const outward = (values: Vec, rest: number): Vec => {
    const out = zeros(model.dim, model.dtype).fill(rest);
    for (let s = 0; s < active.length; s++) out[active[s]!] = values[s]!;
    return out;
  };
  return {
    model: inner,
    release: () => inner.release(),
    // NaN outside the set: a weight there is not selected while another is left.
    project: (w) => inward(project(outward(w, Number.NaN))),
    enter({ w, support }) {
      const values = zeros(active.length, model.dtype);
      for (let s = 0; s < active.length; s++) values[s] = w[active[s]!]!;
      return iterateAt(inner, values, inward(support));
    },
    leave({ w: values, support, value, point }) {
      const w = outward(values, 0);
      const d = zeros(model.dim, model.dtype);
      for (let j = 0; j < d.length; j++) d[j] = w[j]! - model.w0[j]!;
      const columns = support.columns.map((s) => active[s]!);
      return { w, value, point: { d, residual: point.residual }, support: { mask: support.mask, columns } };
    },
  };
}
