import { type Constraint, countKept, type Problem } from "@secateur/core";

/**
 * Ever tighter budgets, the last one the constraint itself: the kept units become fewer by one factor a step, or by one unit
 * with "each". A constraint that cannot be relaxed has one step.
 */
export function shrinkingBudgets({ constraint, units }: Problem, asked: number | "each"): readonly Constraint[] {
  const target = countKept(constraint.select(new Float32Array(units.count)));
  if (!constraint.relax || target === 0) return [constraint];
  const removed = units.count - target;
  const steps = Math.max(1, asked === "each" ? removed : Math.min(asked, removed));
  return Array.from({ length: steps }, (_, index) => {
    if (index === steps - 1) return constraint;
    const excess = units.count / target;
    const keep = asked === "each" ? units.count - index - 1 : target * excess ** (1 - (index + 1) / steps);
    // Half a unit less, since the relaxed constraint rounds up.
    return constraint.relax!(Math.max(1, (keep - 0.5) / target));
  });
}
