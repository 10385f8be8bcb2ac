/** Products with sparse matrices. Panels outside the WebAssembly memory are left to the reference. */
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
import { groupedPattern } from "./grouped-pattern.ts";

/** Bytes of a partial sum. */
const VECTOR_BYTES = 16;

/** out = A b */
export function sparseTimes(engine: Engine, spec: SparseTimesSpec): void {
  checkSparseTimes(spec);
  const { pattern, values, count, b, out } = spec;
  if (![b, out].every((panel) => isResident(engine, panel))) {
    referenceKernels.sparseTimes!(spec);
    return;
  }
  const { starts, lines, places } = groupedPattern(pattern);
  const ordered = values.slice();
  for (let e = 0; e < ordered.length; e++) ordered[e] = values[places[e]!]!;
  const { packed, a: first, b: second, out: third } = engine.slabs;
  const panels = [placeVector(engine, packed, b), placeVector(engine, packed, out)];
  withRoom(engine, first, starts.byteLength, (startRoom) =>
    withRoom(engine, second, lines.byteLength, (lineRoom) =>
      withRoom(engine, third, ordered.byteLength, (valueRoom) => {
        const entries = [
          placeIndices(engine, startRoom, starts),
          placeIndices(engine, lineRoom, lines),
          placeVector(engine, valueRoom, ordered),
        ];
        const sizes = [starts.length - 1, pattern.rows, pattern.cols];
        engine.run(`sparseTimes${bits(b)}`, count, cost(pattern, count), ...entries, ...sizes, ...panels);
      }),
    ),
  );
}

/** out[e] = <a[row of e], b[column of e]> */
export function panelProducts(engine: Engine, spec: PanelProductsSpec): void {
  checkPanelProducts(spec);
  const { pattern, count, a, b, out } = spec;
  if (![a, b].every((panel) => isResident(engine, panel))) {
    referenceKernels.panelProducts!(spec);
    return;
  }
  const { starts, lines, places } = groupedPattern(pattern);
  const { packed, a: first, b: second, out: third, sums } = engine.slabs;
  // Both are in the memory already.
  const panels = [placeVector(engine, packed, a), placeVector(engine, packed, b)];
  withRoom(engine, first, starts.byteLength, (startRoom) =>
    withRoom(engine, second, lines.byteLength, (lineRoom) =>
      withRoom(engine, packed, places.byteLength, (placeRoom) =>
        withRoom(engine, sums, pattern.columns.length * VECTOR_BYTES, ({ address }) =>
          withRoom(engine, third, out.byteLength, (outRoom) => {
            const entries = [
              placeIndices(engine, startRoom, starts),
              placeIndices(engine, lineRoom, lines),
              placeIndices(engine, placeRoom, places),
            ];
            const target = spaceForVector(engine, outRoom, out);
            const values = [...entries, pattern.rows, pattern.cols, ...panels, count, address, target];
            engine.run(`panelProducts${bits(a)}`, starts.length - 1, cost(pattern, count), ...values);
            storeVector(engine, outRoom, out);
          }),
        ),
      ),
    ),
  );
}

function cost({ columns }: SparsePattern, count: number): number {
  return (columns.length * count * panelWidth) / 8;
}

function bits(vector: Vec): "32" | "64" {
  return dtypeOf(vector) === "f64" ? "64" : "32";
}
