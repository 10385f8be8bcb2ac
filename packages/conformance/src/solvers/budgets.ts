/** The feasible sets that tiny problems are posed with: every kind of constraint and unit of core. */
import {
  blockUnits,
  type Constraint,
  channelUnits,
  countKept,
  groupUnits,
  keepCount,
  keepOfEvery,
  type Mask,
  type Units,
  weightUnits,
} from "@secateur/core";

/** A kind of feasible set. */
export type BudgetKind = "sparsity" | "eligible" | "pattern" | "blocks" | "channels";

/** Units and the masks allowed over them. */
export interface Budget {
  readonly units: Units;
  readonly constraint: Constraint;
}

/**
 * A budget for weights [rows, cols], cols a multiple of 4. About a third is kept: `sparsity` any weights, `eligible` the
 * same among two thirds of them (what a run without regrowth asks), `pattern` 1 of every 4, `blocks` of 1 x 2 weights or 2 x 2
 * in several rows, `channels` groups of different sizes whose weights are not neighbours, or whole rows.
 */
export function budgetOf(kind: BudgetKind, { rows, cols }: { rows: number; cols: number }): Budget {
  const count = rows * cols;
  switch (kind) {
    case "sparsity":
      return { units: weightUnits(count), constraint: keepCount({ count, keep: Math.floor(count / 3) }) };
    case "eligible":
      return { units: weightUnits(count), constraint: eligibleOnly(count) };
    case "pattern":
      return { units: weightUnits(count), constraint: keepOfEvery({ count, cols, keep: 1, of: 4 }) };
    case "blocks":
      return someUnits(blockUnits({ rows, cols, height: rows > 1 ? 2 : 1, width: 2 }));
    case "channels":
      return someUnits(rows > 1 ? channelUnits({ rows, cols, axis: "out" }) : unevenUnits(cols));
    default:
      return kind satisfies never;
  }
}

/** The number of units that every feasible mask of full budget keeps. */
export function budgetSize({ units, constraint }: Budget): number {
  return countKept(constraint.select(new Float64Array(units.count)));
}

function someUnits(units: Units): Budget {
  return { units, constraint: keepCount({ count: units.count, keep: Math.ceil(units.count / 3) }) };
}

/** Weight j belongs to group (5 j + floor(sqrt(j))) mod 4, so that sizes differ and neighbours part. */
function unevenUnits(size: number): Units {
  const groups: number[][] = [[], [], [], []];
  for (let j = 0; j < size; j++) groups[(j * 5 + Math.floor(Math.sqrt(j))) % 4]!.push(j);
  return groupUnits({
    size,
    groups: groups.filter(({ length }) => length > 0).map((group) => Uint32Array.from(group)),
  });
}

function eligibleOnly(count: number): Constraint {
  const eligible: Mask = Uint8Array.from({ length: count }, (_, j) => (j % 3 === 1 ? 0 : 1));
  const within = (budget: Constraint): Constraint => ({
    ...budget,
    kind: "keep-count among some",
    count: { keep: budget.count!.keep, eligible },
    select: (score) => {
      const allowed = score.map((value, unit) => (eligible[unit] === 1 ? value : Number.NEGATIVE_INFINITY));
      return budget.select(allowed).map((bit, unit) => bit & eligible[unit]!);
    },
    violation: (mask) => budget.violation(mask) + countKept(mask.map((bit, unit) => (eligible[unit] === 1 ? 0 : bit))),
    relax: (factor) => within(budget.relax!(factor)),
    canSwap: (mask) => {
      const fits = budget.canSwap!(mask);
      return (out, into) => eligible[into] === 1 && fits(out, into);
    },
  });
  return within(keepCount({ count, keep: Math.floor(count / 3) }));
}
