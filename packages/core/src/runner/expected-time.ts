/** How long a run will take, from its counted multiply-adds and a short measurement. Feeds a number that is printed, and no decision. */
import type { Dataset } from "../data/dataset.ts";
import type { Solver } from "../problem/strategy.ts";
import type { RunContext } from "../run-context.ts";
import type { ResolvedPlan, RunSituation } from "../stages/plan.ts";

/** Forward passes worth that a backward pass and its bookkeeping take on top of the forward one. */
const gradientPasses = 3;
/** Losses that a stage compares: its step in full and halved, and its mask alone. */
const lossesAStage = 3;
/** Examples that settling takes, three passes' worth each: those of batch statistics. */
const recalibrationExamples = 1024;
const recalibrationPasses = 2;

/**
 * Multiply-adds of a run by a plan, of dense speed.
 *
 * @param spec.accept - how many examples steps are accepted on
 * @param spec.recalibrates - whether the model is recalibrated before a loss is measured
 */
export function expectedWork(spec: {
  solver: Solver;
  plan: ResolvedPlan;
  situation: RunSituation;
  accept: number;
  recalibrates: boolean;
}): number {
  const { solver, plan, situation, accept, recalibrates } = spec;
  const { prunable, weightReuse = 1 } = situation;
  const pass = prunable * weightReuse;
  const stages = plan.stages + plan.targetStages;
  const rows = plan.stages * plan.examples + plan.targetStages * plan.targetExamples;
  const needsCurvature = (solver.needs.curvature ?? []).length > 0;
  const gradients = needsCurvature ? rows * plan.batch * gradientPasses * pass : 0;
  const competing = plan.ridge === "auto" ? plan.ridgeFactors.length : 1;
  const measured = accept + (recalibrates ? recalibrationExamples * recalibrationPasses : 0);
  const losses = needsCurvature ? stages * competing * lossesAStage * measured * pass : 0;
  return gradients + losses + (needsCurvature ? (solver.work?.(plan, situation) ?? 0) : 0);
}

/** A measurement of fewer multiply-adds measures the calls around them. */
const leastMeasured = 1e7;
/** A measurement is long enough. */
const enoughMs = 300;

/**
 * Milliseconds for so many multiply-adds, by the speed of evaluating `accept`; undefined where that is too little to tell.
 *
 * @param spec.evaluate - evaluates it once; called again where the first time, in which everything is new, was short
 * @param spec.firstMs - how long the first time took
 */
export async function expectedMs(
  spec: { work: number; macs: number; accept: Dataset; firstMs: number; evaluate(): Promise<unknown> },
  ctx: RunContext,
): Promise<number | undefined> {
  const { work, macs, accept, firstMs, evaluate } = spec;
  if (macs * accept.size < leastMeasured) return undefined;
  let ms = firstMs;
  if (ms < enoughMs) {
    const started = ctx.now();
    await evaluate();
    ms = Math.min(ms, ctx.now() - started);
  }
  return (work * ms) / (macs * accept.size);
}
