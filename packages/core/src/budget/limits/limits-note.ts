/** How far a mask under several limits is from the best there could be. */
import type { Mask, Vec } from "../../problem/matrix.ts";
import type { Note } from "../../problem/note.ts";
import type { BoundBudget } from "../bound-budget.ts";
import type { Constraint } from "../constraint.ts";
import { unitMask } from "../units.ts";

/**
 * What of the squared weights a mask keeps, beside the most that any mask within the limits could keep. Undefined with one limit, whose answer is at most one unit
 * off, and where limits are no sums.
 *
 * @param spec.weights - before they were pruned [p]
 * @param spec.mask - over weights [p]
 */
export function limitsNote(spec: {
  readonly bound: BoundBudget;
  readonly constraint: Constraint;
  readonly weights: Vec;
  readonly mask: Mask;
}): Note | undefined {
  const { bound, constraint, weights, mask } = spec;
  if (bound.limitsAt(bound.sparsity).length < 2 || !constraint.bound) return undefined;
  const score = Float64Array.from(bound.units.reduce(Float64Array.from(weights, (value) => value * value)));
  const kept = unitMask(bound.units, mask);
  const all = score.reduce((sum, value) => sum + value, 0);
  const own = score.reduce((sum, value, u) => sum + value * kept[u]!, 0);
  const most = Math.min(1, constraint.bound(score) / all);
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
  const message = `of the squared weights the mask keeps ${percent(own / all)}; no mask within these limits keeps more than ${percent(most)}`;
  return { code: "limits-bound", level: "info", message };
}
