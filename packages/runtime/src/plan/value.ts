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

/** Distances of a row-major value from index to index, in numbers. */
export function distances(dims: readonly number[]): number[] {
  return dims.map((_, i) => productOf(dims.slice(i + 1)));
}

/** Distances in a value that is stretched to `to` by numpy's rule: 0 along what it does not have. */
export function stretched(dims: readonly number[], to: readonly number[]): number[] {
  const own = distances(dims);
  const missing = to.length - dims.length;
  return to.map((_, i) => (i < missing || dims[i - missing] === 1 ? 0 : own[i - missing]!));
}

/** What both stretch to, or undefined where they do not. */
export function stretchedDims(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const out: number[] = [];
  for (let i = 0; i < rank; i++) {
    const [x, y] = [a[a.length - rank + i] ?? 1, b[b.length - rank + i] ?? 1];
    if (x !== y && x !== 1 && y !== 1) return undefined;
    out.push(x === 1 ? y : x);
  }
  return out;
}
