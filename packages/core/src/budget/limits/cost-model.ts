/**
 * Costs that are no sums over weights. A parameter costs min over its ways of fixed + each * (kept blocks), so it is linearised where a
 * share d of its units is kept at random: a block of m independent units is kept with probability 1 - (1 - d)^m. A product of kept units
 * costs each * prod (fixed + sum units * kept); one more unit costs its derivative there.
 */
import type { Mask } from "../../problem/matrix.ts";
import type { CostFactor, CostModel, CostProduct, CostWay } from "../budget.ts";
import { countKept } from "../constraint.ts";
import type { StackedPart, StackedUnits } from "../stack-units.ts";
import { weightMask } from "../units.ts";

/** The cost of a mask [units.count]. O(weights) a way. */
export function modelCost({ other, params, products }: CostModel, units: StackedUnits, mask: Mask): number {
  const weights = weightMask(units, mask);
  const start = other + productsCost(products, keptUnits(units, mask));
  return units.parts.reduce((total, { param }) => {
    const own = weights.subarray(param.start, param.start + param.size);
    const ways = params[param.name]!.map(({ fixed, each, outputs }) => {
      return each === 0 ? fixed : fixed + each * keptBlocks(own, { ...param, outputs });
    });
    return total + Math.min(...ways);
  }, start);
}

/** Units by parameter. */
type Units = (name: string) => number;

/** Kept units of a mask, which is counted in whole numbers; or those of a share of all. */
interface KeptUnits {
  readonly of: Units;
  readonly all?: Units;
}

function keptUnits({ parts }: StackedUnits, mask: Mask): KeptUnits {
  const kept = new Map(
    parts.map(({ param, firstUnit, units }) => [
      param.name,
      countKept(mask.subarray(firstUnit, firstUnit + units.count)),
    ]),
  );
  return { of: (name) => kept.get(name) ?? 0 };
}

function keptShare({ parts }: StackedUnits, share: number): KeptUnits {
  const counts = new Map(parts.map(({ param, units }) => [param.name, units.count]));
  const all = (name: string): number => counts.get(name) ?? 0;
  return { of: (name) => share * all(name), all };
}

function productsCost(products: readonly CostProduct[] = [], kept: KeptUnits): number {
  return products.reduce((total, { each, factors }) => {
    return total + factors.reduce((cost, factor) => cost * extentOf(factor, kept), each);
  }, 0);
}

/** Rounded up for a mask; for a share in proportion, so that all units cost what the whole mask does. */
function extentOf(factor: CostFactor, { of, all }: KeptUnits): number {
  const extent = placesLeft(factor, of);
  return all ? extent * roundingOf(factor, { of, all }) : roundedUp(factor, extent);
}

/**
 * How many more units of a parameter a mask may keep at no cost, where extents are rounded up: 0 where any unit costs something.
 */
export function freeUnits({ params, products = [] }: CostModel, units: StackedUnits, mask: Mask): readonly FreeUnits[] {
  const { of } = keptUnits(units, mask);
  return units.parts.map(({ param: { name }, firstUnit, units: { count } }) => {
    const range = { first: firstUnit, end: firstUnit + count };
    if (params[name]!.some(({ each }) => each > 0)) return { ...range, free: 0 };
    const spare = products.flatMap(({ factors }) =>
      factors.flatMap((factor) => {
        const own = factor.units[name] ?? 0;
        const extent = placesLeft(factor, of);
        if (own === 0) return [];
        return [factor.isMean ? 0 : Math.floor((roundedUp(factor, extent) - extent) / own + 1e-9)];
      }),
    );
    return { ...range, free: spare.length === 0 ? 0 : Math.max(0, Math.min(...spare)) };
  });
}

/** Units [first, end), of which so many more cost nothing as long as no other range takes any. */
export interface FreeUnits {
  readonly first: number;
  readonly end: number;
  readonly free: number;
}

/** By how much rounding lengthens the whole extent. */
function roundingOf(factor: CostFactor, { of, all = of }: KeptUnits): number {
  const whole = placesLeft(factor, all);
  return whole === 0 ? 1 : roundedUp(factor, whole) / whole;
}

function placesLeft({ fixed, units }: CostFactor, kept: Units): number {
  return Object.entries(units).reduce((sum, [name, own]) => sum + own * kept(name), fixed);
}

function roundedUp({ multiple = 1, most = Number.POSITIVE_INFINITY }: CostFactor, extent: number): number {
  // Means of places a group are inexact by less than this.
  return multiple === 1 ? extent : Math.min(most, Math.ceil(extent / multiple - 1e-9) * multiple);
}

/** What one more unit of a parameter adds on average. */
function unitInProducts(products: readonly CostProduct[] = [], name: string, kept: KeptUnits): number {
  let slope = 0;
  for (const { each, factors } of products) {
    factors.forEach((owner, f) => {
      const own = owner.units[name] ?? 0;
      if (own === 0) return;
      const one = own * roundingOf(owner, kept);
      slope += factors.reduce((cost, factor, g) => cost * (g === f ? one : extentOf(factor, kept)), each);
    });
  }
  return slope;
}

/** Blocks of `outputs` x 1 in which any weight is kept. */
function keptBlocks(mask: Mask, { rows, cols, outputs }: { rows: number; cols: number; outputs: number }): number {
  let kept = 0;
  for (let first = 0; first < rows; first += outputs) {
    const end = Math.min(first + outputs, rows);
    for (let col = 0; col < cols; col++) {
      let any = 0;
      for (let row = first; row < end && any === 0; row++) any = mask[row * cols + col]!;
      kept += any;
    }
  }
  return kept;
}

/** The expected cost where every unit is kept with probability `share`. */
export function expectedCost({ other, params, products }: CostModel, units: StackedUnits, share: number): number {
  return units.parts.reduce(
    (total, part) => total + Math.min(...params[part.param.name]!.map((way) => expected(way, part, share))),
    other + productsCost(products, keptShare(units, share)),
  );
}

function expected({ fixed, each, outputs }: CostWay, { param, spec }: StackedPart, share: number): number {
  const independent =
    spec.kind === "columns" || spec.kind === "inputs"
      ? 1
      : spec.kind === "blocks"
        ? Math.ceil(outputs / spec.rows)
        : outputs;
  const blocks = Math.ceil(param.rows / outputs) * param.cols;
  return fixed + each * blocks * (1 - (1 - share) ** independent);
}

/** The least that any mask can come to: nothing is kept. */
export function leastCost({ other, params, products }: CostModel, { parts }: StackedUnits): number {
  return parts.reduce(
    (total, { param }) => total + Math.min(...params[param.name]!.map(({ fixed }) => fixed)),
    other + productsCost(products, { of: () => 0 }),
  );
}

/** The share of units, in (0, 1], at which the expected cost is `amount`: within 2^-40. */
export function shareAt(model: CostModel, units: StackedUnits, amount: number): number {
  if (expectedCost(model, units, 1) <= amount) return 1;
  let [low, high] = [0, 1];
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    if (expectedCost(model, units, middle) <= amount) low = middle;
    else high = middle;
  }
  return high;
}

/** The way that is best where the share is kept, among those that a mask makes cheaper; nothing where there is none. */
function bestWay({ params }: CostModel, part: StackedPart, share: number): CostWay | undefined {
  const ways = params[part.param.name]!.filter(({ each }) => each > 0);
  const least = Math.min(...ways.map((way) => expected(way, part, share)));
  return ways.find((way) => expected(way, part, share) === least);
}

/** What keeping each unit costs [units.count], on average where the share is kept, by the way that is best there. */
export function linearCosts(model: CostModel, units: StackedUnits, share: number): Float64Array {
  const costs = new Float64Array(units.count);
  const kept = keptShare(units, share);
  for (const part of units.parts) {
    const { param, firstUnit, units: own } = part;
    const more = unitInProducts(model.products, param.name, kept);
    const best = bestWay(model, part, share);
    const perWeight = best ? (expected(best, part, share) - best.fixed) / (share * param.size) : 0;
    for (let u = 0; u < own.count; u++)
      costs[firstUnit + u] = perWeight * units.costs["weights"]![firstUnit + u]! + more;
  }
  return costs;
}

/**
 * The block of each unit [units.count], by number within its parameter, its first one: a list for every size of blocks that any way stores.
 * Which of them is cheapest is seen from the exact cost.
 */
export function costGroups({ params }: CostModel, { count, parts }: StackedUnits): readonly Uint32Array[] {
  const ways = parts.flatMap(({ param }) => params[param.name]!.filter(({ each }) => each > 0));
  const sizes = [...new Set([1, ...ways.map(({ outputs }) => outputs)])];
  return sizes.map((outputs) => {
    const groups = new Uint32Array(count);
    for (const { param, firstUnit, units: own } of parts) {
      for (let u = 0; u < own.count; u++) {
        const index = own.perWeight ? u : own.indices(u)[0]!;
        groups[firstUnit + u] =
          Math.floor(Math.floor(index / param.cols) / outputs) * param.cols + (index % param.cols);
      }
    }
    return groups;
  });
}
