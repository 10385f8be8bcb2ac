/**
 * Seeded, forkable random numbers. A fork depends on the seed and the labels on the way to it only, never on how many
 * numbers were drawn before or on the order of forks, so parallel and resumed runs see the same numbers.
 *
 * Generator: sfc32 (Doty-Humphrey, PractRand), seeded through an FNV-1a style hash of the label path.
 */
export interface Rng {
  /** The seed and the labels on the way to it: `createRng(path)` draws from the beginning what this one drew. */
  readonly path: string;
  /** Uniform in [0, 1), 32 bits of resolution. */
  next(): number;
  /** Uniform integer in [0, bound), bound in 1..2^32. */
  integer(bound: number): number;
  /** Standard normal (Box-Muller). */
  normal(): number;
  /** An independent generator that depends on this generator's seed and the label only. */
  fork(label: string): Rng;
}

/**
 * A generator from a seed.
 *
 * @param seed - any whole number or text; equal seeds give equal streams
 */
export function createRng(seed: number | string): Rng {
  const path = String(seed);
  let a = hash(path, 0x9e3779b9);
  let b = hash(path, 0x243f6a88);
  let c = hash(path, 0xb7e15162);
  let counter = 1;
  const nextUint32 = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    c |= 0;
    return t >>> 0;
  };
  // sfc32 mixes its seed within 12 rounds (PractRand's recommendation).
  for (let i = 0; i < 12; i++) nextUint32();
  const next = (): number => nextUint32() / 4294967296;
  return {
    path,
    next,
    integer: (bound) => Math.floor(next() * bound),
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    fork: (label) => createRng(`${path}/${label}`),
  };
}

/** Picks `count` distinct indices out of 0..size-1, in drawn order (a partial Fisher-Yates shuffle). O(size). */
export function sampleIndices(size: number, count: number, rng: Rng): Uint32Array {
  const pool = new Uint32Array(size).map((_, i) => i);
  const taken = Math.max(0, Math.min(count, size));
  for (let i = 0; i < taken; i++) {
    const j = i + rng.integer(size - i);
    const swapped = pool[i]!;
    pool[i] = pool[j]!;
    pool[j] = swapped;
  }
  return pool.slice(0, taken);
}

/** 32-bit FNV-1a over the UTF-16 units of the text, finished with murmur3's mixer. */
function hash(text: string, basis: number): number {
  let h = basis;
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  }
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) | 0;
}
