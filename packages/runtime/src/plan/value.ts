import type { Region } from "./region.ts";

/** A value of the network and where it is held: row-major, as planes, or both. */
export interface Value {
  readonly name: string;
  readonly dims: readonly number[];
  flat?: Region;
  planes?: Region;
  /** Of an input: where the caller's numbers lie. */
  readonly given?: Region;
  /** Every stride-th position, by "strideY strideX": a region with one group of planes for every phase, and the phases it has. */
  readonly phases: Map<string, { readonly region: Region; readonly held: Set<number> }>;
}

export function productOf(dims: readonly number[]): number {
  return dims.reduce((product, extent) => product * extent, 1);
}

/** Positions and features of a matrix: all extents but the last, and the last. */
export function matrixOf(dims: readonly number[]): { positions: number; features: number } {
  return { positions: productOf(dims.slice(0, -1)), features: dims[dims.length - 1] ?? 1 };
}
