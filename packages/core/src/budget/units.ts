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
  if (units.perWeight) return keptPlaces(mask);
  const kept: number[] = [];
  for (let unit = 0; unit < units.count; unit++) {
    if (mask[unit] === 1) for (const index of units.indices(unit)) kept.push(index);
  }
  return Uint32Array.from(kept).sort();
}

/** The places of a mask's ones, ascending. */
export function keptPlaces(mask: Mask): Uint32Array {
  const kept = new Uint32Array(mask.reduce((sum, bit) => sum + bit, 0));
  let place = 0;
  for (let i = 0; i < mask.length; i++) if (mask[i] !== 0) kept[place++] = i;
  return kept;
}
