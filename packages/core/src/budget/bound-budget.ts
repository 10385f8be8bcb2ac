/** A budget over the parameters of one network: its units, and the masks of every stage on the way to it. */
import { badBudget } from "../errors.ts";
import type { Kernels } from "../kernels/kernels.ts";
import type { FlatParam } from "../problem/flat-weights.ts";
import type { Mask, Vec } from "../problem/matrix.ts";
import type { Budget, Limit, LimitReached, UnitSpec } from "./budget.ts";
import type { BudgetRule } from "./budget-rule.ts";
import { type Constraint, sparsityConstraint } from "./constraint.ts";
import { floorsOf, floorWithin, partOf, type UnitFloor } from "./floors.ts";
import { keepOfEvery } from "./keep-of-every.ts";
import { bindLimit } from "./limits/bound-limit.ts";
import { costConstraint } from "./limits/cost-constraint.ts";
import { patterned } from "./pattern-constraint.ts";
import { kernelOf, type StackedPart, type StackedUnits, stackUnits } from "./stack-units.ts";

/** A budget and the network it is for. */
export interface BoundBudget {
  readonly units: StackedUnits;
  /** 1 - the smallest fraction that a limit or a pattern keeps: what schedules of sparsity rise to, in [0, 1). */
  readonly sparsity: number;
  /** What exclusions, bounds and the usual one of several units keep of single parameters. */
  readonly floors: readonly (UnitFloor & { readonly part: StackedPart })[];
  /** The pattern of a parameter at a stage that has come to this sparsity; all of every one where it has none. */
  patternAt(spec: UnitSpec, sparsity: number): { readonly keep: number; readonly of: number };
  /** How the weights that a stage keeps are spread over layers; counts come within the limits by bisection, see stage-constraint.ts. */
  readonly allocation?: BudgetRule;
  /** What decides it, as data: a run is continued only under the same budget. */
  readonly settings: object;
  /** Whether it limits anything but the number of single weights. */
  readonly isStructured: boolean;
  /**
   * The masks of a stage that has come to this sparsity, in [0, sparsity].
   *
   * @param eligible - the units that may be kept [units.count]: exclusions and bounds ask for no more than those; default: all
   */
  constraint(sparsity: number, kernels: Kernels, eligible?: Mask): Constraint;
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
  const floors = floorsOf(budget, units);
  // What is excluded stays dense, whatever its pattern.
  const isDense = (part: StackedPart): boolean =>
    floors.some((floor) => partOf(floor, units) === part && floor.least === part.param.size);
  const patterns = units.parts.flatMap((part) =>
    part.spec.kind === "of-every" && !isDense(part) ? [{ spec: part.spec, param: part.param }] : [],
  );
  for (const { spec, param } of patterns) {
    const { least = 0 } = floors.find((floor) => partOf(floor, units).param === param) ?? {};
    if (least <= Math.ceil((param.size * spec.keep) / spec.of)) continue;
    throw badBudget(
      `the bound of '${param.name}' keeps ${least} of its ${param.size} weights, and its pattern keeps ${spec.keep} of every ${spec.of}; leave one of them out, or exclude it`,
    );
  }
  const limits = (budget.limits ?? []).map((limit) => bindLimit(limit, { units, floors, costs: budget.costs ?? {} }));
  if (limits.length === 0 && units.parts.some((part) => part.spec.kind !== "of-every" && !isDense(part))) {
    throw badBudget(
      'it has no limit, and not every parameter has a pattern of-every; give a limit, such as { kind: "weights", amount: 0.1 }',
    );
  }
  if (budget.allocation && !(units.perWeight && patterns.length === 0)) {
    throw badBudget(
      "an allocation spreads single weights over layers; leave it out (--allocation), or leave the units at weights (--units)",
    );
  }
  const modelled = budget.allocation && limits.find(({ isModelled }) => isModelled);
  if (modelled) {
    throw badBudget(
      `an allocation fixes how many weights a layer keeps, and its ${modelled.kind} depend on which; limit weights or flops with an allocation, or leave it out`,
    );
  }
  const kept = [...limits.map(({ share }) => share), ...patterns.map(({ spec }) => spec.keep / spec.of)];
  const sparsity = 1 - Math.min(1, ...kept);
  // On the way to the target every limit shrinks in proportion.
  const at = (share: number, now: number): number =>
    sparsity === 0 ? share : 1 - (1 - share) * Math.min(1, now / sparsity);
  const patternAt = (spec: UnitSpec, now: number): { readonly keep: number; readonly of: number } => {
    if (spec.kind !== "of-every") return { keep: 1, of: 1 };
    return { keep: Math.max(spec.keep, Math.ceil(spec.of * at(spec.keep / spec.of, now) - 1e-9)), of: spec.of };
  };
  const isPlain = units.perWeight && patterns.length === 0 && limits.length === 1 && limits[0]!.kind === "weights";
  const isStructured = !isPlain || floors.length > 0;
  const { allocation, costs: _models, ...plain } = budget;
  const sizes = units.costs["weights"]!;
  const structured = (now: number, eligible?: Mask): Constraint => {
    const own = limits.map((limit) => limit.at(at(limit.share, now)));
    // Floors hold without a limit too.
    const costs = own.length > 0 || floors.length === 0 ? own : [{ name: "weights", costs: sizes, most: sum(sizes) }];
    const within = patterns.map(({ spec, param }) => {
      const stride = spec.along === "channels" ? kernelOf(param) : 1;
      return { param, rule: keepOfEvery({ count: param.size, cols: param.cols, stride, ...patternAt(spec, now) }) };
    });
    const among = eligible
      ? floors.map((floor) => {
          const rule = within.find(({ param }) => param === partOf(floor, units).param)?.rule;
          return floorWithin(floor, { eligible, sizes, ...(rule ? { rule } : {}) });
        })
      : floors;
    const outer = costs.length === 0 ? undefined : costConstraint(units.count, costs, { floors: among, sizes });
    return patterned({ units, within, outer });
  };
  // Each limit is in reach by itself; all of them together may not be.
  if (floors.length > 0 && limits.length > 1) structured(sparsity).select(new Float64Array(units.count));
  return {
    ...{ units, sparsity, isStructured },
    settings: {
      ...plain,
      ...(allocation ? { allocation: allocation.settings } : {}),
      // Cost models are told apart by what the dense network costs by them, which is shorter than their tables.
      ...(limits.some(({ isModelled }) => isModelled) ? { dense: limits.map(({ all }) => all) } : {}),
    },
    ...(allocation ? { allocation } : {}),
    floors: floors.map((floor) => ({ ...floor, part: partOf(floor, units) })),
    patternAt,
    constraint(now, kernels, eligible) {
      if (!isStructured) return sparsityConstraint({ count: units.count, sparsity: Math.min(now, sparsity), kernels });
      return structured(now, eligible);
    },
    limitsAt: (now) =>
      limits.map(({ kind, all, absolute, ...limit }) => {
        const { most } = limit.at(at(limit.share, now));
        return absolute ? { kind, amount: most, absolute } : { kind, amount: most / all };
      }),
    reached: (mask) =>
      limits.map(({ kind, asked, absolute, all, cost }) => {
        const used = cost(mask);
        return { kind, asked, reached: absolute ? used : used / all, absolute, dense: all };
      }),
  };
}

function sum(values: Vec): number {
  let total = 0;
  for (let u = 0; u < values.length; u++) total += values[u]!;
  return total;
}
