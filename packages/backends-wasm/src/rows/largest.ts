/**
 * The k largest scores by radix: histograms of the sort keys from the top bits down until one bucket holds the k-th score, then one
 * pass that collects indices. Counting is exact and order-free, so bytes cannot depend on threads.
 */
import { checkLargest, referenceKernels, type Vec } from "@secateur/core";
import type { Engine } from "../engine.ts";
import { isResident, placeVector } from "../memory/staging.ts";
import { floorTo, ranges } from "../products/tiles.ts";

/** Scores of one unit, as in assembly/select.ts. */
const UNIT = 16384;
const BUCKET_BITS = 11;
const BUCKETS = 2 ** BUCKET_BITS;
/** Up to so many scores sorting them costs less than clearing the histograms. */
const FEW = 1024;
/** Interleaved histograms of one thread. */
const HISTOGRAMS = 4;

/** Indices of the k largest, ascending; ties go to the lower index, NaN counts as -Infinity. */
export function largest(engine: Engine, scores: Vec, k: number): Uint32Array {
  if (scores.length <= FEW) return referenceKernels.largest(scores, k);
  checkLargest(scores, k);
  const chosen = new Uint32Array(k);
  if (k === 0) return chosen;
  const { bar, ties } = findBar(engine, scores, k);
  collect(engine, { scores, bar, ties, chosen });
  return chosen;
}

/** Scores above `bar` are chosen, and the first `ties` of those equal to it. */
interface Bar {
  readonly bar: number;
  readonly ties: number;
}

function findBar(engine: Engine, scores: Vec, k: number): Bar {
  const keyBits = scores.BYTES_PER_ELEMENT * 8;
  let prefix = 0n;
  let wanted = k;
  for (let above = keyBits; above > 0; ) {
    const bits = Math.min(BUCKET_BITS, above);
    const shift = above - bits;
    const counts = countKeys(engine, scores, { shift, bits, prefix });
    let bucket = BUCKETS - 1;
    while ((counts[bucket] as number) < wanted) wanted -= counts[bucket--] as number;
    prefix = (prefix << BigInt(bits)) | BigInt(bucket);
    above = shift;
    // The whole bucket is wanted: the lowest key that may be in it is bar enough, and there is no tie to break.
    if (counts[bucket] === wanted) return { bar: scoreOf(prefix << BigInt(above), keyBits), ties: wanted };
  }
  return { bar: scoreOf(prefix, keyBits), ties: wanted };
}

interface Digit {
  readonly shift: number;
  readonly bits: number;
  readonly prefix: bigint;
}

function countKeys(engine: Engine, scores: Vec, { shift, bits, prefix }: Digit): Uint32Array {
  const { memory } = engine;
  const size = scores.BYTES_PER_ELEMENT;
  // One unit is counted by the calling thread, whose histograms come first.
  const counting = scores.length <= UNIT ? engine.scratch.slice(0, 1) : engine.scratch;
  const words = counting.map((address) => address / 4);
  for (const word of words) memory.u32.fill(0, word, word + HISTOGRAMS * BUCKETS);
  const prefixWords = size === 4 ? [Number(prefix)] : [Number(prefix >> 32n), Number(prefix & 0xffffffffn)];
  for (const [from, to] of stretches(engine, scores)) {
    const address = placeVector(engine, engine.slabs.a, scores, from, to);
    const values = [address, to - from, shift, bits, ...prefixWords];
    engine.run(`histogram${size * 8}`, Math.ceil((to - from) / UNIT), to - from, ...values);
  }
  const counts = new Uint32Array(BUCKETS);
  const { u32 } = memory;
  for (const word of words) {
    for (let part = word; part < word + HISTOGRAMS * BUCKETS; part += BUCKETS) {
      for (let i = 0; i < BUCKETS; i++) counts[i] = (counts[i] as number) + (u32[part + i] as number);
    }
  }
  return counts;
}

function collect(engine: Engine, { scores, bar, ties, chosen }: Bar & { scores: Vec; chosen: Uint32Array }): void {
  const { slabs, memory } = engine;
  const kernel = `collect${scores.BYTES_PER_ELEMENT * 8}`;
  let count = 0;
  let left = ties;
  for (const [from, to] of stretches(engine, scores)) {
    const address = placeVector(engine, slabs.a, scores, from, to);
    // Each unit writes to its own part of a slab; they are joined here. A slab holds a few units at a time.
    const unitsAtOnce = floorTo(slabs.packed.bytes / (UNIT * 4), 1);
    for (const [start, end] of ranges(to - from, unitsAtOnce * UNIT)) {
      const units = Math.ceil((end - start) / UNIT);
      const run = (first: number, n: number, limit: number, cost: number): void => {
        const at = start + first * UNIT;
        const values = [address + at * scores.BYTES_PER_ELEMENT, Math.min(n * UNIT, end - at), bar, limit, from + at];
        engine.run(kernel, n, cost, ...values, slabs.packed.address + first * UNIT * 4, slabs.sums.address + first * 8);
      };
      run(0, units, left, end - start);
      for (let unit = 0; unit < units; unit++) {
        const counts = slabs.sums.address / 4 + unit * 2;
        // Each unit was allowed all the ties that were left when the round began; once they run short, it is asked again.
        if ((memory.u32[counts + 1] as number) > left) run(unit, 1, left, 0);
        const found = memory.u32[counts] as number;
        const first = slabs.packed.address / 4 + unit * UNIT;
        chosen.set(memory.u32.subarray(first, first + found), count);
        count += found;
        left -= memory.u32[counts + 1] as number;
      }
    }
  }
}

// The score whose sort key is `key`: the inverse of the map in assembly/select.ts.
function scoreOf(key: bigint, bits: number): number {
  const sign = 1n << BigInt(bits - 1);
  const word = key & sign ? key ^ sign : ~key & (2n * sign - 1n);
  const view = new DataView(new ArrayBuffer(8));
  if (bits === 64) view.setBigUint64(0, word);
  else view.setUint32(0, Number(word));
  const score = bits === 64 ? view.getFloat64(0) : view.getFloat32(0);
  // No score has the keys below that of -Infinity, but a bucket may begin among them.
  return Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score;
}

function stretches(engine: Engine, scores: Vec): Generator<readonly [number, number]> {
  const bytes = Math.min(engine.slabs.a.bytes, 512 * 1024 * engine.threads);
  const step = isResident(engine, scores) ? scores.length : floorTo(bytes / scores.BYTES_PER_ELEMENT, UNIT);
  return ranges(scores.length, Math.max(1, step));
}
