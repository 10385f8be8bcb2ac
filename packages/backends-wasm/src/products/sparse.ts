/** Products with sparse matrices. Panels outside the WebAssembly memory, or patterns larger than a slab, are left to the reference. */
import {
  checkPanelProducts,
  checkSparseTimes,
  dtypeOf,
  type PanelProductsSpec,
  panelWidth,
  referenceKernels,
  type SparsePattern,
  type SparseTimesSpec,
  type Vec,
} from "@secateur/core";
import type { Engine } from "../engine.ts";
import { isResident, placeIndices, placeVector, spaceForVector, storeVector, withRoom } from "../memory/staging.ts";
import { type GroupedPattern, groupedPattern } from "./grouped-pattern.ts";

/** Bytes of a partial sum. */
const VECTOR_BYTES = 16;

/** out = A b */
export function sparseTimes(engine: Engine, spec: SparseTimesSpec): void {
  checkSparseTimes(spec);
  const { pattern, values, count, b, out } = spec;
  const grouped = groupedPattern(pattern);
  if (!canRun(engine, grouped, [b, out]) || values.byteLength > engine.slabs.out.bytes) {
    referenceKernels.sparseTimes!(spec);
    return;
  }
  const ordered = values.slice();
  for (let e = 0; e < ordered.length; e++) ordered[e] = values[grouped.places[e]!]!;
  const starts = placeIndices(engine, engine.slabs.a, grouped.starts);
  const lines = placeIndices(engine, engine.slabs.b, grouped.lines);
  const value = placeVector(engine, engine.slabs.out, ordered);
  const sizes = [grouped.starts.length - 1, pattern.rows, pattern.cols];
  const panels = [placeVector(engine, engine.slabs.packed, b), placeVector(engine, engine.slabs.packed, out)];
  engine.run(`sparseTimes${bits(b)}`, count, cost(pattern, count), starts, lines, value, ...sizes, ...panels);
}

/** out[e] = <a[row of e], b[column of e]> */
export function panelProducts(engine: Engine, spec: PanelProductsSpec): void {
  checkPanelProducts(spec);
  const { pattern, count, a, b, out } = spec;
  const grouped = groupedPattern(pattern);
  const { packed, a: slabA, b: slabB, out: slabOut, sums } = engine.slabs;
  if (!canRun(engine, grouped, [a, b]) || out.byteLength > slabOut.bytes || grouped.places.byteLength > packed.bytes) {
    referenceKernels.panelProducts!(spec);
    return;
  }
  const entries = [
    placeIndices(engine, slabA, grouped.starts),
    placeIndices(engine, slabB, grouped.lines),
    placeIndices(engine, packed, grouped.places),
  ];
  // Both are in the memory already.
  const panels = [placeVector(engine, packed, a), placeVector(engine, packed, b)];
  const target = spaceForVector(engine, slabOut, out);
  withRoom(engine, sums, pattern.columns.length * VECTOR_BYTES, ({ address }) => {
    const values = [...entries, pattern.rows, pattern.cols, ...panels, count, address, target];
    engine.run(`panelProducts${bits(a)}`, grouped.starts.length - 1, cost(pattern, count), ...values);
  });
  storeVector(engine, slabOut, out);
}

function canRun(engine: Engine, { starts, lines }: GroupedPattern, panels: readonly Vec[]): boolean {
  const { a, b } = engine.slabs;
  return (
    starts.byteLength <= a.bytes && lines.byteLength <= b.bytes && panels.every((panel) => isResident(engine, panel))
  );
}

function cost({ columns }: SparsePattern, count: number): number {
  return (columns.length * count * panelWidth) / 8;
}

function bits(vector: Vec): "32" | "64" {
  return dtypeOf(vector) === "f64" ? "64" : "32";
}
