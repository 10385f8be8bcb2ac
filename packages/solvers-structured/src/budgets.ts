import { type Constraint, countKept, type Problem } from "@secateur/core";

/**
 * Ever tighter budgets, the last one the constraint itself, with about as many units gone from each to the next. A constraint that cannot be
 * relaxed has one.
 *
 * @param looks - how many at most, >= 1
 */
export function tighterBudgets(
  { constraint, units }: Pick<Problem, "constraint" | "units">,
  looks: number,
): readonly Constraint[] {
  const target = countKept(constraint.select(new Float32Array(units.count)));
  const { relax } = constraint;
  if (!relax || target === 0) return [constraint];
  const removed = units.count - target;
  const steps = Math.max(1, Math.min(looks, removed));
  return Array.from({ length: steps }, (_, i) => {
    if (i === steps - 1) return constraint;
    const keep = units.count - Math.round((removed * (i + 1)) / steps);
    // Half a unit less, since the relaxed constraint rounds up.
    return relax.call(constraint, Math.max(1, (keep - 0.5) / target));
  });
}
