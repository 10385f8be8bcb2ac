/** The two kinds of budget whose feasible sets a method can walk through weight by weight. */
import type { Mask, Problem } from "@secateur/core";
import { onlySingleWeights, unknownBudget } from "../errors.ts";

/** Any `keep` weights of the layer, or `keep` of every `of` neighbours of a row; among the eligible ones. */
export type WeightBudget =
  | { readonly kind: "count"; readonly keep: number; readonly eligible: Mask | undefined }
  | { readonly kind: "pattern"; readonly keep: number; readonly of: number; readonly eligible: Mask | undefined };

/** A problem's budget, where rows can be worked on one by one; undefined for units of several weights and for other budgets. */
export function rowwiseBudget({ units, constraint, w }: Problem): WeightBudget | undefined {
  if (!units.perWeight) return undefined;
  const { count, pattern } = constraint;
  if (count) return { kind: "count", keep: count.keep, eligible: count.eligible };
  // Groups that run on from row to row would make rows depend on each other.
  if (!pattern || (pattern.cols !== w.cols && w.rows > 1)) return undefined;
  return { kind: "pattern", keep: pattern.keep, of: pattern.of, eligible: pattern.eligible };
}

/** The same for methods that need one. @throws ERR_INCOMPATIBLE */
export function weightBudget(who: string, problem: Problem): WeightBudget {
  const budget = rowwiseBudget(problem);
  if (budget) return budget;
  if (!problem.units.perWeight) throw onlySingleWeights(who, problem.id);
  throw unknownBudget(who, problem.id, problem.constraint.kind);
}
