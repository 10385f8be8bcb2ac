// What the wasm module exports: one function that runs steps of a program, alone or together with other threads.
import { broadcastUnits } from "./broadcast";
import { blockUnits } from "./block-planes";
import { copyUnits } from "./copy";
import { depthwiseUnits } from "./depthwise";
import { affineUnits, binaryUnits, unaryUnits } from "./elementwise";
import { gatherUnits } from "./gather";
import { matrixUnits } from "./matrix-product";
import { pairedUnits } from "./paired";
import { meanUnits, poolUnits } from "./pooling";
import { layerNormUnits, reduceUnits, softmaxUnits } from "./rows";
import { sparseUnits } from "./sparse-planes";
import { word } from "./step";
import { block16Units, block4Units, rowUnits } from "./vector-product";

// The numbers stand in src/plan/kernel-numbers.ts, too.
function perform(step: usize, begin: u32, end: u32): void {
  switch (word(step, 0)) {
    case 0: sparseUnits(step, begin, end); break;
    case 1: blockUnits(step, begin, end); break;
    case 2: rowUnits(step, begin, end); break;
    case 3: block4Units(step, begin, end); break;
    case 4: block16Units(step, begin, end); break;
    case 5: poolUnits(step, begin, end); break;
    case 6: meanUnits(step, begin, end); break;
    case 7: unaryUnits(step, begin, end); break;
    case 8: binaryUnits(step, begin, end); break;
    case 9: affineUnits(step, begin, end); break;
    case 10: softmaxUnits(step, begin, end); break;
    case 11: layerNormUnits(step, begin, end); break;
    case 12: copyUnits(step, begin, end); break;
    case 13: broadcastUnits(step, begin, end); break;
    case 14: matrixUnits(step, begin, end); break;
    case 15: gatherUnits(step, begin, end); break;
    case 16: reduceUnits(step, begin, end); break;
    case 17: depthwiseUnits(step, begin, end); break;
    case 18: pairedUnits(step, begin, end); break;
    default: unreachable();
  }
}

/** Runs steps first to last - 1. `program` holds their addresses. */
export function run(program: usize, first: u32, last: u32): void {
  for (let s = first; s < last; s++) {
    const step: usize = load<u32>(program + (s << 2));
    perform(step, 0, word(step, 1));
  }
}

/** How often a thread looks whether the others are done before it sleeps, where it may sleep. */
const SPINS: u32 = 4000;

/**
 * Runs all steps together with every other thread that calls this on the same cells. A step's cell holds the next unit to be taken and
 * how many are done, both 0 at first; grains[s] is how many units a thread takes at once. No thread is waited for that has not taken
 * units, so it does not matter how many come, or when. `failed` becomes 1 where a thread failed: then all others return.
 */
export function runTogether(program: usize, steps: u32, cells: usize, grains: usize, maySleep: bool, failed: usize): void {
  for (let s: u32 = 0; s < steps; s++) {
    const step: usize = load<u32>(program + (s << 2));
    const units = word(step, 1), grain = load<u32>(grains + (s << 2)), cell = cells + (s << 3);
    for (;;) {
      const begin = atomic.add<u32>(cell, grain);
      if (begin >= units) break;
      const end = min(begin + grain, units);
      perform(step, begin, end);
      if (atomic.add<u32>(cell, end - begin, 4) + (end - begin) == units && maySleep) atomic.notify(cell + 4, -1);
    }
    for (let spin: u32 = 0; ; spin++) {
      const done = atomic.load<u32>(cell, 4);
      if (done == units) break;
      if (atomic.load<u32>(failed) != 0) return;
      // A page's main thread may not sleep. Waking early is harmless, so that the time limit is only against a missed call.
      if (maySleep && spin > SPINS) atomic.wait<i32>(cell + 4, <i32>done, 200_000);
    }
  }
}

/** First address that the module's own tables do not use. */
export function dataEnd(): usize {
  return __heap_base;
}
