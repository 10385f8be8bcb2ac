import type { Vec } from "./matrix.ts";

/** Prunable units: unit u owns the flat indices of w that live or die together. */
export interface Units {
  readonly count: number;
  /** The flat indices of w that unit u owns, ascending. */
  indices(unit: number): Uint32Array;
  /** Sums per-weight scores over each unit -> [count]; may return its argument when every weight is a unit. */
  reduce(perWeight: Vec): Vec;
  /** What keeping a unit costs, for example { params, flops, bytes }, each [count]. */
  readonly costs: Readonly<Record<string, Vec>>;
}

/** Every weight is a unit of its own: unstructured pruning. */
export function weightUnits(count: number, costs: Readonly<Record<string, Vec>> = {}): Units {
  return { count, indices: (unit) => Uint32Array.of(unit), reduce: (perWeight) => perWeight, costs };
}
