/** Floors of a budget: what exclusions and bounds keep of the units of a parameter, before all others. */
import { badBudget } from "../errors.ts";
import type { Mask, Vec } from "../problem/matrix.ts";
import type { Note } from "../problem/note.ts";
import type { Budget } from "./budget.ts";
import { type Constraint, countKept, type SwapCheck } from "./constraint.ts";
import { matchesPattern } from "./name-pattern.ts";
import { assertMatches, type StackedPart, type StackedUnits } from "./stack-units.ts";

/** Units [first, end), of which enough are kept that their sizes come to `least` or more. */
export interface UnitFloor {
  readonly first: number;
  readonly end: number;
  readonly least: number;
  /** Whether nobody asked for it: a group of weights for every layer. */
  readonly isUsual?: boolean;
}

/** What floors keep, in words for messages. */
export function floorWords(floors: readonly UnitFloor[]): string {
  if (floors.every(({ isUsual }) => isUsual)) return "what one unit of each layer keeps (a bound of 1 lets a layer go)";
  const others = floors.some(({ isUsual }) => isUsual) ? " and one unit of each other layer" : "";
  return `what exclusions and bounds${others} keep`;
}

/** Says which layers are left with a single one of their groups of weights [units.count], which the rest of the budget might have taken. */
export function lastUnitsNote({ parts }: StackedUnits, mask: Mask): Note | undefined {
  const last = parts.filter(({ firstUnit, units: { count, perWeight } }) => {
    if (perWeight || count === 1) return false;
    return countKept(mask.subarray(firstUnit, firstUnit + count)) === 1;
  });
  if (last.length === 0) return undefined;
  const names = last.map(({ param, units, spec }) => `'${param.name}' (1 of ${units.count} ${spec.kind})`).join(", ");
  const message = `${names}: every layer keeps one unless a bound gives it up (the option 'budget'; --layer-limit NAME=1 on the command line)`;
  return { code: "one-unit-left", level: "info", message };
}

/** Floors over units [count]. */
export interface Floors {
  readonly floors: readonly UnitFloor[];
  /** Weights of each unit. */
  readonly sizes: Vec;
}

/**
 * What exclusions and bounds keep of the units of each parameter. Where units are groups of weights and no bound says otherwise, one of
 * them: a network of which a whole layer is gone is of no use, and scores summed over groups of unequal size would take the small layers first.
 *
 * @throws ERR_BUDGET
 */
export function floorsOf({ exclude = [], bounds = [] }: Budget, { parts }: StackedUnits): readonly UnitFloor[] {
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
    // Every unit has a weight at least, so one weight asks for one unit.
    const isUsual = own.length === 0 && fraction === 0 && !units.perWeight;
    const least = isUsual ? 1 : Math.ceil(size * fraction - 1e-9);
    return least === 0 ? [] : [{ first: firstUnit, end: firstUnit + units.count, least, isUsual }];
  });
}

/** The parameter that a floor is of. */
export function partOf({ first }: UnitFloor, { parts }: StackedUnits): StackedPart {
  return parts.find(({ firstUnit, units }) => firstUnit === first && units.count > 0)!;
}

/** A floor that asks for no more than what may be kept of its units [count of all], within their pattern. */
export function floorWithin(
  floor: UnitFloor,
  spec: { readonly eligible: Mask; readonly sizes: Vec; readonly rule?: Constraint },
): UnitFloor {
  const { first, end } = floor;
  const own = spec.eligible.subarray(first, end);
  const allowed = spec.rule?.select(Float64Array.from(own));
  let most = 0;
  for (let u = 0; u < own.length; u++) if (own[u] === 1 && allowed?.[u] !== 0) most += spec.sizes[first + u]!;
  return { ...floor, least: Math.min(floor.least, most) };
}

/** The units of the highest keys [count] that fill each floor; -Infinity is never taken. */
export function bestFloors({ floors, sizes }: Floors, key: Vec): Uint8Array {
  const mask = new Uint8Array(key.length);
  for (const floor of floors) {
    const order = unitsOf(floor, key).sort((a, b) => compare(key[b]!, key[a]!) || a - b);
    fill(mask, order, { sizes, least: floor.least });
  }
  return mask;
}

/**
 * The units that fill each floor at hardly more than the least cost: whole groups of units that cost together, the fullest first, and of
 * equally full ones those of the highest keys.
 *
 * @param groups - which group a unit is in [count], such as the blocks that a format stores; absent: each by itself
 */
export function cheapestFloors({ floors, sizes }: Floors, key: Vec, groups?: Uint32Array): Uint8Array {
  const mask = new Uint8Array(key.length);
  const groupOf = (unit: number): number => groups?.[unit] ?? unit;
  for (const floor of floors) {
    const units = unitsOf(floor, key);
    const count = units.reduce((most, unit) => Math.max(most, groupOf(unit) + 1), 0);
    const [full, worth] = [new Float64Array(count), new Float64Array(count)];
    for (const unit of units) {
      full[groupOf(unit)]! += sizes[unit]!;
      worth[groupOf(unit)]! += key[unit]!;
    }
    const order = units.sort((a, b) => {
      const [one, other] = [groupOf(a), groupOf(b)];
      return full[other]! - full[one]! || compare(worth[other]!, worth[one]!) || one - other || a - b;
    });
    fill(mask, order, { sizes, least: floor.least });
  }
  return mask;
}

function unitsOf({ first, end }: UnitFloor, key: Vec): Uint32Array {
  return Uint32Array.from({ length: end - first }, (_, i) => first + i).filter(
    (unit) => key[unit] !== Number.NEGATIVE_INFINITY,
  );
}

/** Differences of infinite keys would be NaN. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function fill(mask: Uint8Array, order: Uint32Array, { sizes, least }: { sizes: Vec; least: number }): void {
  let held = 0;
  for (const unit of order) {
    if (held >= least) return;
    mask[unit] = 1;
    held += sizes[unit]!;
  }
}

/** Whether swaps leave every floor of a mask [count] filled that it fills. */
export function floorsHold({ floors, sizes }: Floors, mask: Mask): SwapCheck {
  const held = floors.map((floor) => heldBy(floor, sizes, mask));
  const gains = (unit: number, { first, end }: UnitFloor): number => (unit >= first && unit < end ? sizes[unit]! : 0);
  return (out, into) =>
    floors.every((floor, f) => held[f]! - gains(out, floor) + gains(into, floor) >= Math.min(held[f]!, floor.least));
}

/** The weights that a mask keeps in the range of a floor. */
function heldBy({ first, end }: UnitFloor, sizes: Vec, mask: Mask): number {
  let held = 0;
  for (let u = first; u < end; u++) if (mask[u] === 1) held += sizes[u]!;
  return held;
}

/** By how much a mask falls short of the floors, in weights. */
export function shortfall({ floors, sizes }: Floors, mask: Mask): number {
  return floors.reduce((sum, floor) => sum + Math.max(0, floor.least - heldBy(floor, sizes, mask)), 0);
}
