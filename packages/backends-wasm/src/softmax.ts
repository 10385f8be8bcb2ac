/** Cross-entropy of softmax, row by row in f64; the losses are added up in order. */
import { type CrossEntropySpec, checkCrossEntropy, type Mat } from "@secateur/core";
import type { Engine } from "./engine.ts";
import { bitsOf } from "./product.ts";
import { placeBlock, placeIndices, spaceFor, spaceForVector, storeBlock, storeVector } from "./staging.ts";
import { floorTo, ranges } from "./tiles.ts";

/** Returns the sum of the losses; see core's `softmaxCrossEntropy`. */
export function softmaxCrossEntropy(engine: Engine, spec: CrossEntropySpec): number {
  checkCrossEntropy(spec);
  const { logits, labels, loss, delta } = spec;
  const { slabs } = engine;
  const { cols } = logits;
  for (const [rowFrom, rowTo] of ranges(logits.rows, rowsAtOnce(engine, logits))) {
    const rows = rowTo - rowFrom;
    const block = { rowFrom, rowTo, colFrom: 0, colTo: cols };
    const source = placeBlock(engine, slabs.a, logits, block);
    const classes = placeIndices(engine, slabs.b, labels, rowFrom, rowTo);
    const losses = spaceForVector(engine, slabs.sums, loss, rowFrom);
    const target = delta === undefined ? { address: 0, stride: cols } : spaceFor(engine, slabs.out, delta, block);
    const values = [source.address, cols, classes, losses, target.address];
    engine.run(`softmaxRows${bitsOf(logits)}`, rows, rows * (cols * 12 + 30), ...values);
    if (delta !== undefined) storeBlock(engine, delta, block, target);
    storeVector(engine, slabs.sums, loss, rowFrom, rowTo);
  }
  let total = 0;
  for (let i = 0; i < loss.length; i++) total += loss[i] as number;
  return total;
}

// Labels (4 bytes) and losses (8 bytes) a row, and a copy of the rows, fit their slabs.
function rowsAtOnce(engine: Engine, logits: Mat): number {
  const { slabs } = engine;
  const rows = slabs.sums.bytes / 8;
  const rowBytes = logits.cols * logits.data.BYTES_PER_ELEMENT;
  return floorTo(Math.min(rows, slabs.a.bytes / Math.max(1, rowBytes)), 1);
}
