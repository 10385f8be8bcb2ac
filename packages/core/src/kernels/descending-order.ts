/** Below this many keys a comparison sort is faster. */
const few = 4096;
/** Bits of a pass: counters that stay in the cache. */
const digitBits = 11;
const digits = 2 ** digitBits;

/**
 * The places of keys from the largest to the smallest, equal ones by place. Counting sorts over the upper halves of the keys, which tell all
 * but few of them apart, then comparisons among those with one upper half: O(n) where sorting by comparison alone takes seconds
 * for a million.
 *
 * @param key - [n], without NaN
 */
export function descendingOrder(key: Float64Array): Uint32Array {
  const places = new Uint32Array(key.length);
  for (let i = 0; i < places.length; i++) places[i] = i;
  const compare = (a: number, b: number): number => (key[a] === key[b] ? a - b : key[a]! > key[b]! ? -1 : 1);
  if (key.length < few) return places.sort(compare);
  let from: Sorted = { upper: upperHalves(key), places };
  let to: Sorted = { upper: new Uint32Array(key.length), places: new Uint32Array(key.length) };
  for (let shift = 0; shift < 32; shift += digitBits) {
    countingSort(from, to, shift);
    [from, to] = [to, from];
  }
  for (let first = 0, end = 1; first < key.length; first = end, end++) {
    while (end < key.length && from.upper[end] === from.upper[first]) end++;
    if (end - first < 2) continue;
    const run = from.places.subarray(first, end);
    // Keys that are all equal are in order: counting sorts are stable.
    if (run.some((place) => key[place] !== key[run[0]!])) run.sort(compare);
  }
  return from.places;
}

/** The upper 32 bits of every key, as unsigned numbers that are smaller the larger the key is. */
function upperHalves(key: Float64Array): Uint32Array {
  const words = new Uint32Array(key.map((value) => value + 0).buffer); // -0 is 0
  const upper = new Uint32Array(key.length);
  for (let i = 0; i < upper.length; i++) {
    const word = words[2 * i + 1]!;
    // Negative numbers are stored by magnitude: their bits grow as they fall.
    upper[i] = word >>> 31 === 1 ? word : ~(word ^ 0x80000000);
  }
  return upper;
}

interface Sorted {
  readonly upper: Uint32Array;
  readonly places: Uint32Array;
}

/** One pass, stable, by the digit at `shift`. */
function countingSort(from: Sorted, to: Sorted, shift: number): void {
  const count = from.upper.length;
  const next = new Uint32Array(digits);
  for (let i = 0; i < count; i++) next[(from.upper[i]! >>> shift) & (digits - 1)]!++;
  for (let digit = 0, sum = 0; digit < digits; digit++) {
    const own = next[digit]!;
    next[digit] = sum;
    sum += own;
  }
  for (let i = 0; i < count; i++) {
    const value = from.upper[i]!;
    const place = next[(value >>> shift) & (digits - 1)]!++;
    to.upper[place] = value;
    to.places[place] = from.places[i]!;
  }
}
