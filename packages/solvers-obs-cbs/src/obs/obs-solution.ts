import { type Mask, masked, objective, type Problem, type Solution } from "@secateur/core";
import { asWeights } from "../cbs/as-weights.ts";

/** A solution from found weights, with both objectives: before the update (weights as they were) and after. */
export async function obsSolution(
  problem: Problem,
  found: { w: Float64Array; mask: Mask; stats?: Readonly<Record<string, number>>; trace?: readonly number[] },
): Promise<Solution> {
  const w = asWeights(problem, found.w);
  const selected = await objective(problem, masked(problem.w, problem.units, found.mask));
  const value = await objective(problem, w);
  return {
    w,
    mask: found.mask,
    objective: value,
    status: "exact",
    stats: { iterations: 1, ...found.stats, selectionObjective: selected },
    trace: [...(found.trace ?? [selected]), value],
  };
}
