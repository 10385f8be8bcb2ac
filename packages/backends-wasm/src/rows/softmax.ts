/** Cross-entropy of softmax, row by row in f64; the losses are added up in order. */
import { type CrossEntropySpec, checkCrossEntropy } from "@secateur/core";
import type { Engine } from "../engine.ts";
import {
  isResident,
  placeBlock,
  placeIndices,
  spaceFor,
  spaceForVector,
  storeBlock,
  storeVector,
  withRoom,
} from "../memory/staging.ts";
import { bitsOf } from "../products/product.ts";
import { floorTo, ranges } from "../products/tiles.ts";

/** Returns the sum of the losses; see core's `softmaxCrossEntropy`. */
export function softmaxCrossEntropy(engine: Engine, spec: CrossEntropySpec): number {
  checkCrossEntropy(spec);
  const { logits, labels, loss, delta } = spec;
  const { slabs } = engine;
  const { cols } = logits;
  const rowBytes = cols * logits.data.BYTES_PER_ELEMENT;
  withRoom(engine, slabs.a, isResident(engine, logits.data) ? 0 : rowBytes, (logitsSlab) => {
    withRoom(engine, slabs.out, delta === undefined || isResident(engine, delta.data) ? 0 : rowBytes, (deltaSlab) => {
      for (const [rowFrom, rowTo] of ranges(logits.rows, rowsAtOnce(engine, rowBytes))) {
        const rows = rowTo - rowFrom;
        const block = { rowFrom, rowTo, colFrom: 0, colTo: cols };
        const source = placeBlock(engine, logitsSlab, logits, block);
        const classes = placeIndices(engine, slabs.b, labels, rowFrom, rowTo);
        const losses = spaceForVector(engine, slabs.sums, loss, rowFrom, rowTo);
        const target = delta === undefined ? 0 : spaceFor(engine, deltaSlab, delta, block).address;
        const values = [source.address, cols, classes, losses, target];
        engine.run(`softmaxRows${bitsOf(logits)}`, rows, rows * (cols * 12 + 30), ...values);
        if (delta !== undefined) storeBlock(engine, delta, block, { address: target, stride: cols });
        storeVector(engine, slabs.sums, loss, rowFrom, rowTo);
      }
    });
  });
  let total = 0;
  for (let i = 0; i < loss.length; i++) total += loss[i] as number;
  return total;
}

// Labels (4 bytes) and losses (8 bytes) a row, and a copy of the rows, fit their slabs.
function rowsAtOnce(engine: Engine, rowBytes: number): number {
  const { slabs } = engine;
  return floorTo(Math.min(slabs.sums.bytes / 8, slabs.a.bytes / Math.max(1, rowBytes)), 1);
}
