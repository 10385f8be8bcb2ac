/** A budget over the parameters of one network: its units, and the masks of every stage on the way to it. */
import { badBudget } from "../errors.ts";
import type { Kernels } from "../kernels/kernels.ts";
import type { FlatParam } from "../problem/flat-weights.ts";
import type { Mask } from "../problem/matrix.ts";
import { type BoundLimit, bindLimit } from "./bound-limit.ts";
import type { Budget, Limit, LimitReached } from "./budget.ts";
import type { BudgetRule } from "./budget-rule.ts";
import { type Constraint, sparsityConstraint } from "./constraint.ts";
import { costConstraint, type UnitFloor } from "./cost-constraint.ts";
import { keepOfEvery } from "./keep-of-every.ts";
import { matchesPattern } from "./name-pattern.ts";
import { patterned } from "./pattern-constraint.ts";
import { assertMatches, type StackedUnits, stackUnits } from "./stack-units.ts";

/** A budget and the network it is for. */
export interface BoundBudget {
  readonly units: StackedUnits;
  /** 1 - the smallest fraction that a limit or a pattern keeps: what schedules of sparsity rise to, in [0, 1). */
  readonly sparsity: number;
  /** Present where every parameter has the same pattern, and no limit asks for less. */
  readonly pattern?: { readonly keep: number; readonly of: number };
  /** How the weights that a stage keeps are spread over layers, see `allotted`. */
  readonly allocation?: BudgetRule;
  /** What decides it, as data: a run is continued only under the same budget. */
  readonly settings: object;
  /** Whether it limits anything but the number of single weights. */
  readonly isStructured: boolean;
  /** The masks of a stage that has come to this sparsity, in [0, sparsity]. */
  constraint(sparsity: number, kernels: Kernels): Constraint;
  /** The limits of that stage. */
  limitsAt(sparsity: number): readonly Limit[];
  /** What a mask [units.count] comes to. */
  reached(mask: Mask): readonly LimitReached[];
}

/**
 * Binds a budget to parameters.
 *
 * @throws ERR_BUDGET for limits out of range, out of reach (with the nearest one in reach), or of a kind that nothing here can count, and
 *   for exclusions and bounds that keep more than they allow
 */
export function bindBudget(budget: Budget, params: readonly FlatParam[]): BoundBudget {
  const units = stackUnits(params, budget.units);
  const patterns = units.parts.flatMap(({ spec, param }) => (spec.kind === "of-every" ? [{ spec, param }] : []));
  const floors = floorsOf(budget, units);
  const limits = (budget.limits ?? []).map((limit) => bindLimit(limit, { units, floors, costs: budget.costs ?? {} }));
  if (limits.length === 0 && patterns.length < units.parts.length) {
    throw badBudget(
      'it has no limit, and not every parameter has a pattern of-every; give a limit, such as { kind: "weights", amount: 0.1 }',
    );
  }
  if (budget.allocation && !(units.perWeight && patterns.length === 0)) {
    throw badBudget("an allocation spreads single weights over layers; leave it out, or leave the units at weights");
  }
  const kept = [...limits.map(({ share }) => share), ...patterns.map(({ spec }) => spec.keep / spec.of)];
  const sparsity = 1 - Math.min(1, ...kept);
  // On the way to the target every limit shrinks in proportion.
  const at = (share: number, now: number): number =>
    sparsity === 0 ? share : 1 - (1 - share) * Math.min(1, now / sparsity);
  const isPlain = units.perWeight && patterns.length === 0 && limits.length === 1 && limits[0]!.kind === "weights";
  const isStructured = !isPlain || floors.length > 0;
  const { allocation, costs: _models, ...plain } = budget;
  return {
    ...{ units, sparsity, isStructured },
    settings: {
      ...plain,
      ...(allocation ? { allocation: allocation.settings } : {}),
      // Of a cost model what the dense network costs by it.
      ...(limits.some(({ isModelled }) => isModelled) ? { dense: limits.map(({ all }) => all) } : {}),
    },
    ...(allocation ? { allocation } : {}),
    ...(isPatternAlone(units, limits) ? { pattern: { keep: patterns[0]!.spec.keep, of: patterns[0]!.spec.of } } : {}),
    constraint(now, kernels) {
      if (!isStructured) return sparsityConstraint({ count: units.count, sparsity: Math.min(now, sparsity), kernels });
      const costs = limits.map((limit) => limit.at(at(limit.share, now)));
      const within = patterns.map(({ spec, param }) => {
        const keep = Math.max(spec.keep, Math.ceil(spec.of * at(spec.keep / spec.of, now) - 1e-9));
        return { param, rule: keepOfEvery({ count: param.size, cols: param.cols, keep, of: spec.of }) };
      });
      const outer =
        costs.length === 0 ? undefined : costConstraint(units.count, costs, { floors, sizes: units.costs["weights"]! });
      return patterned({ units, within, outer });
    },
    limitsAt: (now) =>
      limits.map(({ kind, all, absolute, ...limit }) => {
        const { most } = limit.at(at(limit.share, now));
        return absolute ? { kind, amount: most, absolute } : { kind, amount: most / all };
      }),
    reached: (mask) =>
      limits.map(({ kind, asked, absolute, all, cost }) => {
        const used = cost(mask);
        return { kind, asked, reached: absolute ? used : used / all, absolute };
      }),
  };
}

/** What exclusions and bounds keep of the units of each parameter. @throws ERR_BUDGET */
function floorsOf({ exclude = [], bounds = [] }: Budget, { parts }: StackedUnits): readonly UnitFloor[] {
  const params = parts.map(({ param }) => param);
  for (const match of [...exclude, ...bounds.map((bound) => bound.match)]) assertMatches(match, params);
  for (const { match, sparsity } of bounds) {
    if (!(sparsity >= 0 && sparsity <= 1)) {
      throw badBudget(`the bound of '${match}' is ${sparsity}; give a sparsity from 0 to 1, the largest that it gets`);
    }
  }
  return parts.flatMap(({ param: { name, size }, firstUnit, units }) => {
    const own = bounds.filter(({ match }) => matchesPattern(match, name)).map(({ sparsity }) => 1 - sparsity);
    const fraction = exclude.some((pattern) => matchesPattern(pattern, name)) ? 1 : Math.max(0, ...own);
    const least = Math.ceil(size * fraction - 1e-9);
    return least === 0 ? [] : [{ first: firstUnit, end: firstUnit + units.count, least }];
  });
}

/** Whether all parameters have one pattern, which keeps no more than any limit does. */
function isPatternAlone({ parts }: StackedUnits, limits: readonly BoundLimit[]): boolean {
  const [first] = parts;
  if (first?.spec.kind !== "of-every") return false;
  const { keep, of } = first.spec;
  const areSame = parts.every(({ spec }) => spec.kind === "of-every" && spec.keep === keep && spec.of === of);
  return areSame && limits.every(({ kind, share }) => kind === "weights" && share >= keep / of - 1e-9);
}

/**
 * The sparsity at which an allocation comes within every limit of a stage: the lowest at which the largest of `scores` fit them, by bisection
 * over the number of weights.
 *
 * @param spec.select - the mask that the allocation keeps at a sparsity
 * @param spec.constraint - of the limits alone
 */
export function allottedSparsity(spec: {
  sparsity: number;
  size: number;
  select: (sparsity: number) => Mask;
  constraint: Constraint;
}): number {
  const { size, select, constraint } = spec;
  const fits = (removed: number): boolean => constraint.violation(select(removed / size)) === 0;
  let low = Math.max(0, Math.floor(spec.sparsity * size));
  if (fits(low)) return spec.sparsity;
  let high = size - 1;
  if (!fits(high))
    throw badBudget("no allotment of a single weight is within its limits; raise them, or leave --allocation out");
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) high = middle;
    else low = middle;
  }
  return high / size;
}
