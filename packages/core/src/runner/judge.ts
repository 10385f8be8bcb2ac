/** Training examples on which steps and ridges are judged: those that made a model speak for it whatever it does elsewhere. */
import { type Dataset, subset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { sampleIndices } from "../rng.ts";
import type { RunContext } from "../run-context.ts";
import type { ResolvedPlan } from "./plan.ts";

/** Examples that judge, at most, and the largest share of all. */
const mostJudges = 5000;
const judgeShare = 0.1;
/** Fewer than these judge worse than the many that made the model. */
const leastJudges = 500;

/** How many of so many training examples can be spared to judge. */
export function spareJudges(size: number): number {
  const count = Math.min(mostJudges, Math.floor(size * judgeShare));
  return count < leastJudges ? 0 : count;
}

/**
 * The judges of a run and the examples that are left for gradients. Where none can be spared, because there are few or the plan
 * needs them, ridges compete on examples drawn from all, and steps on those of the model.
 */
export function withJudge(
  { model, data, plan }: { model: Model; data?: Dataset; plan: ResolvedPlan },
  ctx: RunContext,
): { data?: Dataset; judge?: Dataset } {
  const competes = plan.ridgeFactors.length > 1;
  if (!data || !model.evaluate || !(plan.lineSearch || competes)) return {};
  const rng = ctx.rng.fork("judge");
  const count = spareJudges(data.size);
  const needed = Math.max(plan.examples, plan.targetExamples) * plan.batch;
  if (count === 0 || data.size - count < Math.min(needed, data.size)) {
    return competes ? { judge: subset(data, sampleIndices(data.size, Math.min(mostJudges, data.size), rng)) } : {};
  }
  const isJudge = new Uint8Array(data.size);
  for (const index of sampleIndices(data.size, count, rng)) isJudge[index] = 1;
  const chosen = (bit: number) =>
    subset(
      data,
      Uint32Array.from({ length: data.size }, (_, index) => index).filter((index) => isJudge[index] === bit),
    );
  return { data: chosen(0), judge: chosen(1) };
}
