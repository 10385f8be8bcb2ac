/** A budget over the parameters of one network: its units, and the masks of every stage on the way to it. */
import { badBudget } from "../errors.ts";
import type { Kernels } from "../kernels/kernels.ts";
import type { FlatParam } from "../problem/flat-weights.ts";
import type { Budget, Limit } from "./budget.ts";
import { type Constraint, sparsityConstraint } from "./constraint.ts";
import { costConstraint } from "./cost-constraint.ts";
import { keepOfEvery } from "./keep-of-every.ts";
import { type StackedUnits, stackUnits } from "./stack-units.ts";

/** A budget and the network it is for. */
export interface BoundBudget {
  readonly units: StackedUnits;
  /** 1 - the smallest fraction that a limit or a pattern keeps: what schedules of sparsity rise to, in [0, 1). */
  readonly sparsity: number;
  /** Present where every parameter has the same pattern, and no limit asks for less. */
  readonly pattern?: { readonly keep: number; readonly of: number };
  /** What decides it, as data: a run is continued only under the same budget. */
  readonly settings: Budget;
  /** Whether it limits anything but the number of single weights. */
  readonly isStructured: boolean;
  /** The masks of a stage that has come to this sparsity, in [0, sparsity]. */
  constraint(sparsity: number, kernels: Kernels): Constraint;
}

/**
 * Binds a budget to parameters.
 *
 * @throws ERR_BUDGET for limits out of range, out of reach (with the nearest one in reach), or of a kind that nothing here can count
 */
export function bindBudget(budget: Budget, params: readonly FlatParam[]): BoundBudget {
  const units = stackUnits(params, budget.units);
  const patterns = units.parts.flatMap(({ spec, param }) => (spec.kind === "of-every" ? [{ spec, param }] : []));
  const limits = (budget.limits ?? []).map((limit) => ({ ...limit, fraction: fractionOf(limit, units) }));
  if (limits.length === 0 && patterns.length < units.parts.length) {
    throw badBudget(
      'it has no limit, and not every parameter has a pattern of-every; give a limit, such as { kind: "weights", amount: 0.1 }',
    );
  }
  for (const limit of limits) assertReachable(limit, units);
  const kept = [...limits.map(({ fraction }) => fraction), ...patterns.map(({ spec }) => spec.keep / spec.of)];
  const sparsity = 1 - Math.min(1, ...kept);
  // On the way to the target every limit shrinks in proportion.
  const at = (fraction: number, now: number): number =>
    sparsity === 0 ? fraction : 1 - (1 - fraction) * Math.min(1, now / sparsity);
  const isStructured = !units.perWeight || patterns.length > 0 || limits.length !== 1 || limits[0]!.kind !== "weights";
  return {
    ...{ units, sparsity, settings: budget, isStructured },
    ...(isPatternAlone(units, limits) ? { pattern: { keep: patterns[0]!.spec.keep, of: patterns[0]!.spec.of } } : {}),
    constraint(now, kernels) {
      if (!isStructured) return sparsityConstraint({ count: units.count, sparsity: Math.min(now, sparsity), kernels });
      const costs = limits.map(({ kind, fraction }) => {
        const all = units.costs[kind]!;
        return { name: kind, costs: all, most: at(fraction, now) * sum(all) };
      });
      const within = patterns.map(({ spec, param }) => {
        const keep = Math.max(spec.keep, Math.ceil(spec.of * at(spec.keep / spec.of, now) - 1e-9));
        return { param, rule: keepOfEvery({ count: param.size, cols: param.cols, keep, of: spec.of }) };
      });
      return patterned({ units, within, outer: costs.length === 0 ? undefined : costConstraint(units.count, costs) });
    },
  };
}

/** Whether all parameters have one pattern, which keeps no more than any limit does. */
function isPatternAlone({ parts }: StackedUnits, limits: readonly { kind: string; fraction: number }[]): boolean {
  const [first] = parts;
  if (first?.spec.kind !== "of-every") return false;
  const { keep, of } = first.spec;
  const areSame = parts.every(({ spec }) => spec.kind === "of-every" && spec.keep === keep && spec.of === of);
  return areSame && limits.every(({ kind, fraction }) => kind === "weights" && fraction >= keep / of - 1e-9);
}

/** Masks that hold the patterns of some parameters and, over all units, an outer constraint. */
function patterned(spec: {
  units: StackedUnits;
  within: readonly { readonly param: FlatParam; readonly rule: Constraint }[];
  outer: Constraint | undefined;
}): Constraint {
  const { units, within, outer } = spec;
  if (within.length === 0) return outer!;
  const ranges = within.map(({ param, rule }) => {
    const { firstUnit, units: own } = units.parts.find((part) => part.param.name === param.name)!;
    return { first: firstUnit, end: firstUnit + own.count, rule };
  });
  const rangeOf = (unit: number) => ranges.find(({ first, end }) => unit >= first && unit < end);
  return {
    kind: [...(outer ? [outer.kind] : []), "patterns"].join(" and "),
    select(score) {
      const allowed = Float64Array.from(score);
      for (const { first, end, rule } of ranges) {
        const mask = rule.select(allowed.subarray(first, end));
        for (let u = first; u < end; u++) if (mask[u - first] === 0) allowed[u] = Number.NEGATIVE_INFINITY;
      }
      if (outer) return outer.select(allowed);
      return Uint8Array.from(allowed, (value) => (value === Number.NEGATIVE_INFINITY ? 0 : 1));
    },
    violation: (mask) =>
      ranges.reduce((total, { first, end, rule }) => total + rule.violation(mask.subarray(first, end)), 0) +
      (outer?.violation(mask) ?? 0),
    relax: (factor) =>
      patterned({
        units,
        within: within.map(({ param, rule }) => ({ param, rule: rule.relax!(factor) })),
        outer: outer?.relax?.(factor),
      }),
    canSwap(mask, out, into) {
      const [from, to] = [rangeOf(out), rangeOf(into)];
      // A unit may come into a pattern only for one that leaves the same group.
      const holds =
        !to || (from === to && to.rule.canSwap!(mask.subarray(to.first, to.end), out - to.first, into - to.first));
      return holds && (outer ? outer.canSwap!(mask, out, into) : mask[out] === 1 && mask[into] === 0);
    },
  };
}

/** A limit as the fraction that it keeps of the dense network. */
function fractionOf({ kind, amount, absolute = false }: Limit, units: StackedUnits): number {
  if (kind === "bytes" || kind === "milliseconds") {
    throw badBudget(
      `a limit of ${kind} needs the cost model of what runs the network, which this call has not; limit weights or flops instead`,
    );
  }
  const all = sum(units.costs[kind]!);
  if (!(amount > 0) || !Number.isFinite(amount) || (!absolute && amount > 1)) {
    const allowed = absolute ? `a number above 0, at most ${all}` : "a fraction above 0, at most 1: 0.1 keeps a tenth";
    throw badBudget(`its limit of ${kind} is ${amount}; allowed is ${allowed}`);
  }
  return absolute ? Math.min(1, amount / all) : amount;
}

/** Whether anything at all can be kept under a limit. */
function assertReachable(
  { kind, amount, fraction, absolute }: Limit & { fraction: number },
  units: StackedUnits,
): void {
  const costs = units.costs[kind]!;
  const all = sum(costs);
  let least = Number.POSITIVE_INFINITY;
  for (let u = 0; u < costs.length; u++) if (costs[u]! > 0) least = Math.min(least, costs[u]!);
  if (fraction * all * (1 + 1e-9) >= least) return;
  const nearest = absolute ? least : Number((least / all).toPrecision(3));
  throw badBudget(
    `its limit of ${kind}, ${amount}, is below what a single unit costs, so nothing would be left; the nearest in reach is ${nearest}`,
  );
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}
