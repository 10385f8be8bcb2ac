/**
 * How long a run will take: its multiply-adds, counted, at the speed of a short piece of each kind of work. A product over thousands of
 * examples, a backward pass and an evaluation differ in speed by more than ten times, so no one of them tells of the others. Feeds a number
 * that is printed, and no decision.
 */
import type { Dataset } from "../data/dataset.ts";
import { gemmSpeedUp } from "../linalg/gemm-speed-up.ts";
import type { FactorView } from "../problem/curvature.ts";
import { zeros } from "../problem/matrix.ts";
import type { Solver } from "../problem/strategy.ts";
import { isPruneError } from "../prune-error.ts";
import { quietContext, type RunContext } from "../run-context.ts";
import type { ResolvedPlan, RunSituation } from "../stages/plan.ts";
import type { CurvatureEstimator, Estimate, EstimateRequest } from "./curvature-estimator.ts";

/** Forward passes worth that a backward pass and its bookkeeping take on top of the forward one. */
const gradientPasses = 3;
/** Losses that a stage compares: its step in full and halved, and its mask alone. */
const lossesAStage = 3;
/** Training examples that statistics are measured on at most, and passes over each that this takes. */
const recalibrationExamples = 512;
const recalibrationPasses = 2;

/** Multiply-adds of a run by a plan, by kind. */
export interface RunWork {
  /** Of taking gradients or moments. */
  readonly gradients: number;
  /** Of a solver's products with them, and how many of dense ones take as long. */
  readonly products: number;
  readonly asDense: number;
  /** Of the losses that steps are accepted by. */
  readonly losses: number;
}

/** What work depends on. */
export interface WorkSpec {
  readonly solver: Solver;
  readonly plan: ResolvedPlan;
  readonly situation: RunSituation;
  /** How many examples steps are accepted on. */
  readonly accept: number;
  /** Whether the model is recalibrated before a loss is measured. */
  readonly recalibrates: boolean;
}

/** Counts the work; none for a solver without gradients, which is over at once. */
export function expectedWork({ solver, plan, situation, accept, recalibrates }: WorkSpec): RunWork {
  if ((solver.needs.curvature ?? []).length === 0) return { gradients: 0, products: 0, asDense: 0, losses: 0 };
  const { prunable, weightReuse = 1 } = situation;
  const pass = prunable * weightReuse;
  const stages = plan.stages + plan.targetStages;
  const competing = plan.ridge === "auto" ? plan.ridgeFactors.length : 1;
  const settled = recalibrates ? Math.min(recalibrationExamples, situation.examples) : 0;
  const measured = accept + settled * recalibrationPasses;
  const { curvature, products, asDense = products } = solver.work?.(plan, situation) ?? { curvature: 0, products: 0 };
  return {
    gradients: rowsOf(plan) * plan.batch * gradientPasses * pass + curvature,
    products,
    asDense,
    losses: stages * competing * lossesAStage * measured * pass,
  };
}

function rowsOf({ stages, targetStages, examples, targetExamples }: ResolvedPlan): number {
  return stages * examples + targetStages * targetExamples;
}

/** A measurement of fewer multiply-adds measures the calls around them. */
const leastMeasured = 1e7;
/** A measurement is long enough: the first of a kind, in which everything is new, is repeated where it was shorter. */
const enoughMs = 300;
/** Rows of the rehearsed gradients: those of this share of a run's work, but so many at least and at most. */
const rehearsedShare = 0.02;
const fewestRows = 64;
const mostRows = 1024;

/**
 * Milliseconds that the work will take; undefined where it is too little to tell.
 *
 * @param spec.evaluate - measures the loss on the `accept` examples once
 * @param spec.firstMs - how long the first time took
 * @param spec.estimator - takes the curvature of a few rows, with whose factor view a few products are taken
 */
export async function expectedMs(
  spec: WorkSpec & {
    estimator: CurvatureEstimator;
    request: EstimateRequest & { readonly data: Dataset };
    firstMs: number;
    evaluate(): Promise<unknown>;
  },
  ctx: RunContext,
): Promise<number | undefined> {
  const { situation, accept, firstMs, evaluate } = spec;
  const macs = situation.prunable * (situation.weightReuse ?? 1) * accept;
  if (macs < leastMeasured) return undefined;
  const lossMs = firstMs < enoughMs ? Math.min(firstMs, await timed(evaluate, ctx)) : firstMs;
  const work = expectedWork(spec);
  const pace = await rehearse(spec, work, ctx);
  const { gradient = lossMs / macs, product = lossMs / macs } = pace;
  return work.gradients * gradient + work.asDense * product + (work.losses * lossMs) / macs;
}

/** Milliseconds a multiply-add of gradients and of products, by a few rows; what cannot be taken is left to the run to tell. */
async function rehearse(
  spec: Parameters<typeof expectedMs>[0],
  work: RunWork,
  outer: RunContext,
): Promise<{ gradient?: number; product?: number }> {
  const { plan, estimator, request } = spec;
  const ctx = { ...quietContext(outer), rng: outer.rng.fork("rehearsal") };
  const all = work.gradients + work.asDense + work.losses;
  const wanted = Math.floor((rehearsedShare * all * rowsOf(plan)) / work.gradients);
  const most = Math.min(mostRows, plan.examples, Math.floor(request.data.size / plan.batch));
  const rows = Math.min(most, Math.max(fewestRows, wanted));
  const own = { ...plan, stages: 1, targetStages: 0, examples: rows, ridgeFactors: [1] };
  const counted = expectedWork({ ...spec, plan: own }).gradients;
  let estimate: Estimate | undefined;
  const estimateOnce = async (): Promise<void> => {
    estimate?.release();
    estimate = undefined;
    estimate = await estimator.estimate({ ...request, examples: rows }, ctx);
  };
  try {
    let ms = await timed(estimateOnce, ctx);
    if (ms < enoughMs) ms = await timed(estimateOnce, ctx);
    const view = estimate!.curvature().factor?.();
    const product = view && (await productPace(view, ctx));
    return { gradient: ms / counted, ...(product === undefined ? {} : { product }) };
  } catch (error) {
    // The run will meet it again where it can be said what it means.
    if (isPruneError(error)) return {};
    throw error;
  } finally {
    estimate?.release();
  }
}

/** Milliseconds a multiply-add of products with a factor and its transpose. */
async function productPace(view: FactorView, ctx: RunContext): Promise<number> {
  const x = zeros(view.dim, "f32").fill(1);
  const u = zeros(view.rows, "f32");
  const both = async (): Promise<void> => {
    await view.times(x, u);
    await view.transposeTimes(u, x);
    x.fill(1);
  };
  let ms = await timed(both, ctx);
  if (ms < enoughMs) ms = await timed(both, ctx);
  // Stored rows are streamed, and count as many multiply-adds as they have numbers; others count those of matrix products.
  const macs = view.columns ? view.rows * view.dim : view.productCost * gemmSpeedUp;
  return ms / (2 * macs);
}

async function timed(work: () => Promise<unknown>, ctx: RunContext): Promise<number> {
  const started = ctx.now();
  await work();
  return ctx.now() - started;
}
