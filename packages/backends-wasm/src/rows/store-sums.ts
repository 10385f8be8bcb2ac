import type { Vec } from "@secateur/core";
import type { Engine } from "../engine.ts";
import { placeVector, spaceForVector, storeVector } from "../memory/staging.ts";

/** Entries [from, to) of out from the sums in their slab. */
export interface SumsToStore {
  readonly out: Vec;
  readonly from: number;
  readonly to: number;
  readonly alpha: number;
  readonly beta: number;
}

/** out[from + i] = alpha sums[i] + beta out[from + i]. */
export function storeSums(engine: Engine, { out, from, to, alpha, beta }: SumsToStore): void {
  const { slabs } = engine;
  // Sums are 8 bytes, out's entries at most 8: a stretch of sums that fits its slab has a stretch of out that fits too.
  const target =
    beta === 0 ? spaceForVector(engine, slabs.out, out, from, to) : placeVector(engine, slabs.out, out, from, to);
  const kernel = `storeSums${out.BYTES_PER_ELEMENT * 8}`;
  engine.run(
    kernel,
    Math.ceil((to - from) / 512),
    (to - from) * 0.5,
    slabs.sums.address,
    to - from,
    target,
    alpha,
    beta,
  );
  storeVector(engine, slabs.out, out, from, to);
}

// Runs once, over no columns, when there are none: the sums must become 0.
