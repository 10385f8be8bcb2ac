/** The masks that a stage may choose from: its budget, how an allocation spreads it, and without regrowth what is kept already. */
import { type Constraint, type SwapCheck, sparsityConstraint } from "../budget/constraint.ts";
import { unitMask } from "../budget/units.ts";
import { badBudget } from "../errors.ts";
import type { Mask } from "../problem/matrix.ts";
import type { RunContext } from "../run-context.ts";
import type { Stage } from "../stages/stage.ts";
import type { StageRun } from "./run-stage.ts";

/** The masks that a stage may choose from. */
export function stageConstraint(
  run: Pick<StageRun, "bound" | "params" | "weights" | "mask"> & {
    readonly stage: Pick<Stage, "sparsity" | "regrow">;
  },
  ctx: RunContext,
): Constraint {
  const { params, weights, mask, bound } = run;
  const { sparsity, regrow } = run.stage;
  const eligible = regrow ? undefined : mask;
  const mayStay = regrow ? undefined : bound ? unitMask(bound.units, mask) : mask;
  const limited =
    bound?.constraint(sparsity, ctx.kernels, mayStay) ??
    sparsityConstraint({ count: weights.length, sparsity, kernels: ctx.kernels });
  const { allocation } = bound ?? {};
  const allotted = (at: number): Constraint => allocation!.constraint({ sparsity: at, params, weights, eligible }, ctx);
  const constraint = !allocation
    ? limited
    : allotted(bound!.isStructured ? allottedWithin({ sparsity, weights, limited, allotted }) : sparsity);
  return mayStay ? withoutRegrowth(constraint, mayStay) : constraint;
}

/**
 * The sparsity at which an allocation comes within every limit of a stage: the lowest at which its masks fit them, by bisection over the
 * number of weights. An allocation fixes how many weights each layer keeps, so what one of its masks costs, all of them do.
 *
 * @throws ERR_BUDGET
 */
function allottedWithin(spec: {
  sparsity: number;
  weights: Float32Array;
  limited: Constraint;
  allotted: (sparsity: number) => Constraint;
}): number {
  const { sparsity, weights, limited, allotted } = spec;
  const size = weights.length;
  const score = weights.map(Math.abs);
  const fits = (removed: number): boolean => limited.violation(allotted(removed / size).select(score)) === 0;
  let low = Math.max(0, Math.floor(sparsity * size));
  if (fits(low)) return sparsity;
  let high = size - 1;
  if (!fits(high)) {
    throw badBudget(
      "no share of the weights for each layer is within its limits and what exclusions and bounds keep; raise them, or leave the allocation out",
    );
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) high = middle;
    else low = middle;
  }
  return high / size;
}

/** The same budget among the units that are kept already: what is pruned stays pruned. */
export function withoutRegrowth(budget: Constraint, mask: Mask): Constraint {
  return {
    ...budget,
    kind: `${budget.kind} without regrowth`,
    ...(budget.count ? { count: { ...budget.count, eligible: mask } } : {}),
    ...(budget.pattern ? { pattern: { ...budget.pattern, eligible: mask } } : {}),
    // A budget larger than what is left is filled up with pruned units: take those out again.
    select: (score) =>
      budget
        .select(score.map((value, unit) => (mask[unit] === 1 ? value : Number.NEGATIVE_INFINITY)))
        .map((bit, unit) => bit & mask[unit]!),
    ...(budget.relax ? { relax: (factor: number) => withoutRegrowth(budget.relax!(factor), mask) } : {}),
    ...(budget.canSwap
      ? {
          canSwap: (kept: Mask): SwapCheck => {
            const fits = budget.canSwap!(kept);
            return (out, into) => mask[into] === 1 && fits(out, into);
          },
        }
      : {}),
  };
}
