import type { Mask, Vec } from "../problem/matrix.ts";

/** Prunable units: unit u owns the flat indices of w that live or die together. */
export interface Units {
  /** Number of units, >= 0. */
  readonly count: number;
  /** Whether unit u is exactly weight u, so that loops over units are loops over weights. */
  readonly perWeight: boolean;
  /** The flat indices of w that unit u owns, ascending. */
  indices(unit: number): Uint32Array;
  /** Sums per-weight scores over each unit -> [count]; may return its argument when every weight is a unit. */
  reduce(perWeight: Vec): Vec;
  /** What keeping a unit costs, for example { params, flops, bytes }, each [count]. */
  readonly costs: Readonly<Record<string, Vec>>;
}

/** Every one of `count` weights is a unit of its own: unstructured pruning. Costs are [count] each. */
export function weightUnits(count: number, costs: Readonly<Record<string, Vec>> = {}): Units {
  return { count, perWeight: true, indices: (unit) => Uint32Array.of(unit), reduce: (perWeight) => perWeight, costs };
}

/** The flat indices of the weights that a mask [units.count] keeps, ascending. */
export function keptWeights(units: Units, mask: Mask): Uint32Array {
  return keptPlaces(weightMask(units, mask));
}

/** The places of a mask's ones, or of the numbers of a vector that are not 0 (NaN is one of them), ascending. Memory: 8 bytes a place. */
export function keptPlaces(mask: Mask | Vec): Uint32Array {
  // Added up, not branched on: which are kept cannot be foretold, and a wrong guess costs ten times the rest.
  let count = 0;
  for (let i = 0; i < mask.length; i++) count += Number(mask[i] !== 0);
  const places = new Uint32Array(count + 1);
  for (let i = 0, place = 0; i < mask.length; i++) {
    places[place] = i;
    place += Number(mask[i] !== 0);
  }
  return places.slice(0, count);
}

/** Mask over units [units.count] from one over weights [p]: a unit is kept where any of its weights is. O(weights). */
export function unitMask(units: Units, weights: Mask): Mask {
  if (units.perWeight) return weights;
  const mask = new Uint8Array(units.count);
  const owners = ownersOf(units);
  for (let index = 0; index < owners.length; index++) mask[owners[index]!]! |= weights[index]!;
  return mask;
}

/** Mask over weights [p] from one over units [units.count]. O(weights). */
export function weightMask(units: Units, mask: Mask): Mask {
  if (units.perWeight) return mask;
  const owners = ownersOf(units);
  const weights = new Uint8Array(owners.length);
  for (let index = 0; index < owners.length; index++) weights[index] = mask[owners[index]!]!;
  return weights;
}

/** Found once for units: searches ask thousands of times. */
const knownOwners = new WeakMap<Units, Uint32Array>();

/** The unit of every weight [p]. */
function ownersOf(units: Units): Uint32Array {
  const known = knownOwners.get(units);
  if (known) return known;
  let size = 0;
  for (let unit = 0; unit < units.count; unit++) size += units.indices(unit).length;
  const owners = new Uint32Array(size);
  for (let unit = 0; unit < units.count; unit++) for (const index of units.indices(unit)) owners[index] = unit;
  knownOwners.set(units, owners);
  return owners;
}
