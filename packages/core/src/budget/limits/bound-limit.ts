/** One limit over the units of a network: what it counts, and what it leaves at every point on the way to it. */
import { badBudget } from "../../errors.ts";
import type { Mask } from "../../problem/matrix.ts";
import type { Budget, CostModel, Limit, LimitKind } from "../budget.ts";
import { cheapestFloors, floorWords, type UnitFloor } from "../floors.ts";
import type { StackedUnits } from "../stack-units.ts";
import type { CostLimit } from "./cost-constraint.ts";
import { costGroups, expectedCost, freeUnits, leastCost, linearCosts, modelCost, shareAt } from "./cost-model.ts";

/** A limit and the network it is for. */
export interface BoundLimit {
  readonly kind: LimitKind;
  /** The amount, a fraction or with `absolute` in the limit's unit. */
  readonly asked: number;
  readonly absolute: boolean;
  /** What the dense network costs. */
  readonly all: number;
  /** The share of all weights, kept at random, at which it is met, in (0, 1]: what a schedule of sparsity goes by. */
  readonly share: number;
  /** Whether it is no sum over units. */
  readonly isModelled: boolean;
  /** The limit of a stage at which so large a share is kept. */
  at(share: number): CostLimit;
  /** What a mask [units.count] costs. */
  cost(mask: Mask): number;
}

/** @throws ERR_BUDGET */
export function bindLimit(
  limit: Limit,
  spec: { units: StackedUnits; floors: readonly UnitFloor[]; costs: NonNullable<Budget["costs"]> },
): BoundLimit {
  const { kind, amount, absolute = false } = limit;
  const { units, floors, costs } = spec;
  const given = kind === "weights" ? undefined : costs[kind];
  const isModelled = given !== undefined || kind === "bytes" || kind === "milliseconds";
  const model = given ? withOthers(given, units) : undefined;
  if (isModelled && !model) {
    throw badBudget(
      `a limit of ${kind} needs the cost model of what runs the network; give 'costs', as costModels of @secateur/runtime/pack makes them, or limit weights or flops instead`,
    );
  }
  const stranger = model && units.parts.find(({ param }) => !model.params[param.name]?.length);
  if (stranger) throw badBudget(`the cost model for ${kind} says nothing about '${stranger.param.name}'`);
  const linear = units.costs[kind];
  const dense = new Uint8Array(units.count).fill(1);
  const cost = (mask: Mask): number => (model ? modelCost(model, units, mask) : dot(linear!, mask));
  const all = cost(dense);
  if (!(amount > 0) || !Number.isFinite(amount) || (!absolute && amount > 1)) {
    const allowed = absolute ? `a number above 0, at most ${all}` : "a fraction above 0, at most 1: 0.1 keeps a tenth";
    throw badBudget(`its limit of ${kind} is ${amount}; allowed is ${allowed}`);
  }
  const most = absolute ? Math.min(all, amount) : amount * all;
  const share = model ? shareAt(model, units, most) : most / all;
  const unitCosts = model ? linearCosts(model, units, share) : linear!;
  const groups = model ? costGroups(model, units) : undefined;
  const none = model ? leastCost(model, units) : 0;
  const least = leastOf({ cost, unitCosts, none, groups }, units, floors);
  if (most * (1 + 1e-9) < least) throw outOfReach({ kind, amount, absolute, least, all, none, floors });
  return {
    ...{ kind, asked: amount, absolute, all, share, isModelled, cost },
    at(now) {
      const name = kind;
      if (!model) return { name, costs: unitCosts, most: now * all };
      const allowed = now <= share ? most : expectedCost(model, units, now);
      const free = (mask: Mask) => freeUnits(model, units, mask);
      return { name, costs: unitCosts, most: allowed, exact: cost, free, ...(groups ? { groups } : {}) };
    },
  };
}

/** A model in which parameters that are not pruned count as they are, dense. */
function withOthers(model: CostModel, { parts }: StackedUnits): CostModel {
  const pruned = new Set(parts.map(({ param }) => param.name));
  const others = Object.entries(model.params).filter(([name]) => !pruned.has(name));
  const dense = others.map(([, ways]) => Math.min(...ways.filter(({ each }) => each === 0).map(({ fixed }) => fixed)));
  return { ...model, other: dense.reduce((sum, cost) => sum + cost, model.other) };
}

/** The least that a mask costs that keeps anything at all, and what has to stay. */
function leastOf(
  spec: {
    cost: (mask: Mask) => number;
    unitCosts: ArrayLike<number>;
    none: number;
    groups: readonly Uint32Array[] | undefined;
  },
  units: StackedUnits,
  floors: readonly UnitFloor[],
): number {
  const { cost, unitCosts, none, groups } = spec;
  const key = new Float64Array(units.count);
  const masks = (groups ?? [undefined]).map((one) =>
    cheapestFloors({ floors, sizes: units.costs["weights"]! }, key, one),
  );
  // Nothing has to stay: a single unit, then, the cheapest that costs anything.
  if (floors.length > 0) return Math.max(none, Math.min(...masks.map(cost)));
  const mask = new Uint8Array(units.count);
  let unit = -1;
  for (let u = 0; u < units.count; u++) {
    if (unitCosts[u]! > 0 && (unit < 0 || unitCosts[u]! < unitCosts[unit]!)) unit = u;
  }
  if (unit >= 0) mask[unit] = 1;
  return cost(mask);
}

function outOfReach(spec: Limit & { least: number; all: number; none: number; floors: readonly UnitFloor[] }): Error {
  const { kind, amount, absolute, least, all, none, floors } = spec;
  const nearest = absolute ? least : roundedUp(least / all);
  const why = floors.length > 0 ? floorWords(floors) : "what a single unit costs, so nothing would be left";
  // Of a small network most of the bytes may be there whatever is pruned.
  const share = Number((none / all).toPrecision(2));
  const fixed =
    none > 0 && floors.length === 0
      ? ` (${share} of the dense network's ${kind} stay when no weight does: what is not pruned, and what each layer takes however few it keeps)`
      : "";
  return badBudget(`its limit of ${kind}, ${amount}, is below ${why}${fixed}; the nearest in reach is ${nearest}`);
}

/** To three digits, so that what is named is in reach. */
function roundedUp(value: number): number {
  const scale = 10 ** (2 - Math.floor(Math.log10(value)));
  return Number((Math.ceil(value * scale * (1 - 1e-12)) / scale).toPrecision(3));
}

function dot(costs: ArrayLike<number>, mask: Mask): number {
  let total = 0;
  for (let u = 0; u < mask.length; u++) total += costs[u]! * mask[u]!;
  return total;
}
