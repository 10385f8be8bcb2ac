/** The dot product: f64 sums of 4096 entries each, added up in order. */
import { checkElementwise, type Vec } from "@secateur/core";
import type { Engine } from "../engine.ts";
import { isResident, placeVector } from "../memory/staging.ts";
import { floorTo, ranges } from "./tiles.ts";

const UNIT = 4096;

/** sum_i a_i b_i. */
export function dot(engine: Engine, a: Vec, b: Vec): number {
  checkElementwise("dot", a, b);
  const { slabs, memory } = engine;
  const isInPlace = isResident(engine, a) && isResident(engine, b);
  const size = a.BYTES_PER_ELEMENT;
  const step = isInPlace
    ? (slabs.sums.bytes / 8) * UNIT
    : floorTo(Math.min(slabs.a.bytes, 256 * 1024 * engine.threads) / size, UNIT);
  let total = 0;
  for (const [from, to] of ranges(a.length, step)) {
    const units = Math.ceil((to - from) / UNIT);
    const x = placeVector(engine, slabs.a, a, from, to);
    const y = a === b ? x : placeVector(engine, slabs.b, b, from, to);
    engine.run(`dotUnits${size * 8}`, units, (to - from) * 0.5, x, y, to - from, slabs.sums.address);
    const first = slabs.sums.address / 8;
    for (let unit = 0; unit < units; unit++) total += memory.f64[first + unit] as number;
  }
  return total;
}
