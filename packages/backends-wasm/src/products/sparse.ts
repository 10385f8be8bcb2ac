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

/** Bytes of a partial sum. */
const VECTOR_BYTES = 16;

/** out = A b */
export function sparseTimes(engine: Engine, spec: SparseTimesSpec): void {
  checkSparseTimes(spec);
  const { pattern, values, count, b, out } = spec;
  if (!canRun(engine, pattern, [b, out]) || values.byteLength > engine.slabs.out.bytes) {
    referenceKernels.sparseTimes!(spec);
    return;
  }
  const places = place(engine, pattern);
  const value = placeVector(engine, engine.slabs.out, values);
  const sizes = [pattern.rows, pattern.cols];
  const panels = [placeVector(engine, engine.slabs.packed, b), placeVector(engine, engine.slabs.packed, out)];
  engine.run(`sparseTimes${bits(b)}`, count, cost(pattern, count), ...places, value, ...sizes, ...panels);
}

/** out[e] = <a[row of e], b[column of e]> */
export function panelProducts(engine: Engine, spec: PanelProductsSpec): void {
  checkPanelProducts(spec);
  const { pattern, count, a, b, out } = spec;
  if (!canRun(engine, pattern, [a, b]) || out.byteLength > engine.slabs.out.bytes) {
    referenceKernels.panelProducts!(spec);
    return;
  }
  const places = place(engine, pattern);
  const panels = [placeVector(engine, engine.slabs.packed, a), placeVector(engine, engine.slabs.packed, b)];
  const target = spaceForVector(engine, engine.slabs.out, out);
  withRoom(engine, engine.slabs.sums, pattern.columns.length * VECTOR_BYTES, ({ address }) => {
    const values = [...places, pattern.rows, pattern.cols, ...panels, count, address, target];
    engine.run(`panelProducts${bits(a)}`, pattern.rows, cost(pattern, count), ...values);
  });
  storeVector(engine, engine.slabs.out, out);
}

function canRun(engine: Engine, { starts, columns }: SparsePattern, panels: readonly Vec[]): boolean {
  const { a, b } = engine.slabs;
  return (
    starts.byteLength <= a.bytes && columns.byteLength <= b.bytes && panels.every((panel) => isResident(engine, panel))
  );
}

function place(engine: Engine, { starts, columns }: SparsePattern): readonly [starts: number, columns: number] {
  return [placeIndices(engine, engine.slabs.a, starts), placeIndices(engine, engine.slabs.b, columns)];
}

function cost({ columns }: SparsePattern, count: number): number {
  return (columns.length * count * panelWidth) / 8;
}

function bits(vector: Vec): "32" | "64" {
  return dtypeOf(vector) === "f64" ? "64" : "32";
}
