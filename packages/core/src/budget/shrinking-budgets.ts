import type { Problem } from "../problem/problem.ts";
import { type Constraint, countKept } from "./constraint.ts";

/**
 * Ever tighter budgets, the last one the constraint itself, for solvers that look again between one removal and the next. A constraint that cannot be
 * relaxed has one.
 *
 * @param spec.steps - how many at most, >= 1, fractions count as less; never more than there are units to remove, so that Infinity removes them one by one
 * @param spec.spacing - "even": as many units go from each to the next; "geometric": the kept units become fewer by one factor
 * @example
 * const [first, second] = shrinkingBudgets(problem, { steps: 2, spacing: "even" });
 */
export function shrinkingBudgets(
  { constraint, units }: Pick<Problem, "constraint" | "units">,
  spec: { readonly steps: number; readonly spacing: "even" | "geometric" },
): readonly Constraint[] {
  const target = countKept(constraint.select(new Float32Array(units.count)));
  if (!constraint.relax || target === 0) return [constraint];
  const removed = units.count - target;
  const steps = Math.max(1, Math.floor(Math.min(spec.steps, removed)));
  return Array.from({ length: steps }, (_, index) => {
    const done = (index + 1) / steps;
    if (done === 1) return constraint;
    const keep =
      spec.spacing === "even"
        ? units.count - Math.round(removed * done)
        : target * (units.count / target) ** (1 - done);
    // Half a unit less, since the relaxed constraint rounds up.
    return constraint.relax!(Math.max(1, (keep - 0.5) / target));
  });
}
