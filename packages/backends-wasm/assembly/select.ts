// The k-th largest by radix: histograms of the sort keys' bits from the top down, then one pass that collects indices.
//
// A key orders like the score: bits of x with the sign flipped, or all bits flipped if negative. Before that -0 becomes 0
// (they tie) and NaN -Infinity. Bits are taken 11 at a time: 3 passes for f32, up to 6 for f64.

/** Scores of one unit. */
const UNIT: u32 = 16384;
const BUCKET_BITS: u32 = 11;
/** Counters of one histogram. A thread has four, so that runs of one bucket do not wait for each other's stores. */
const HISTOGRAM_BYTES: usize = 4 << BUCKET_BITS;

// For each set of lanes, as a bit mask: the byte shuffle that moves them to the front, in order.
const FRONT = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0,
  8, 9, 10, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 1, 2, 3, 8, 9, 10, 11, 0, 0, 0, 0, 0, 0, 0, 0,
  4, 5, 6, 7, 8, 9, 10, 11, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 0, 0, 0,
  12, 13, 14, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 1, 2, 3, 12, 13, 14, 15, 0, 0, 0, 0, 0, 0, 0, 0,
  4, 5, 6, 7, 12, 13, 14, 15, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15, 0, 0, 0, 0,
  8, 9, 10, 11, 12, 13, 14, 15, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 0, 0, 0, 0,
  4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 0, 0, 0,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
], 16);

/** Writes the lanes in `hits` one after the other and returns where the next would go. May write, but not keep, 16 bytes. */
// @ts-ignore: decorator
@inline
function append(next: usize, x: v128, hits: i32): usize {
  v128.store(next, i8x16.swizzle(x, v128.load(FRONT + (<usize>hits << 4))));
  return next + (popcnt(hits) << 2);
}

// @ts-ignore: decorator
@inline
function key32(x: f32): u32 {
  const bits = reinterpret<u32>(x == x ? x + 0 : -Infinity);
  return bits ^ (<u32>(<i32>bits >> 31) | 0x80000000);
}

// @ts-ignore: decorator
@inline
function keys32(x: v128): v128 {
  const isNumber = f32x4.eq(x, x);
  const bits = v128.bitselect(f32x4.add(x, i32x4.splat(0)), i32x4.splat(0xff800000), isNumber);
  return v128.xor(bits, v128.or(i32x4.shr_s(bits, 31), i32x4.splat(0x80000000)));
}

// @ts-ignore: decorator
@inline
function key64(x: f64): u64 {
  const bits = reinterpret<u64>(x == x ? x + 0 : -Infinity);
  return bits ^ (<u64>(<i64>bits >> 63) | 0x8000000000000000);
}

// @ts-ignore: decorator
@inline
function keys64(x: v128): v128 {
  const isNumber = f64x2.eq(x, x);
  const bits = v128.bitselect(f64x2.add(x, i64x2.splat(0)), i64x2.splat(0xfff0000000000000), isNumber);
  return v128.xor(bits, v128.or(i64x2.shr_s(bits, 63), i64x2.splat(0x8000000000000000)));
}

/** The low halves of four 64-bit lanes. */
// @ts-ignore: decorator
@inline
function lowHalves(x: v128, y: v128): v128 {
  return v128.shuffle<i32>(x, y, 0, 2, 4, 6);
}

// @ts-ignore: decorator
@inline
function count(histogram: usize, bucket: u32): void {
  const at = histogram + <usize>bucket * 4;
  store<u32>(at, load<u32>(at) + 1);
}

/**
 * Counts keys in the thread's four histograms by bits [shift, shift + bits), of those whose bits above equal `prefix`.
 *
 * No branch depends on the data: whether a score has the prefix is a coin toss to a branch predictor. Keys are instead written one
 * after the other to a buffer whose end only moves on if the key has the prefix; those that remain are counted.
 */
export function histogram32(
  begin: u32, end: u32, histogram: usize, scores: usize, n: u32, shift: u32, bits: u32, prefix: u32,
): void {
  const above = shift + bits;
  const mask = i32x4.splat((1 << bits) - 1);
  const wanted = i32x4.splat(prefix);
  const buffer = histogram + 4 * HISTOGRAM_BYTES;
  for (let unit = begin; unit < end; unit++) {
    let at = scores + <usize>unit * UNIT * 4;
    let left = min(UNIT, n - unit * UNIT);
    if (above == 32) {
      for (; left >= 4; left -= 4) {
        countFour(histogram, i32x4.shr_u(keys32(v128.load(at)), shift));
        at += 16;
      }
      for (; left > 0; left--) {
        count(histogram, key32(load<f32>(at)) >> shift);
        at += 4;
      }
      continue;
    }
    let next = buffer;
    for (; left >= 4; left -= 4) {
      const keys = keys32(v128.load(at));
      const buckets = v128.and(i32x4.shr_u(keys, shift), mask);
      const hits = i32x4.bitmask(i32x4.eq(i32x4.shr_u(keys, above), wanted));
      next = append(next, buckets, hits);
      at += 16;
    }
    for (; left > 0; left--) {
      const key = key32(load<f32>(at));
      store<u32>(next, (key >> shift) & ((1 << bits) - 1));
      next += <u32>(key >> above == prefix) << 2;
      at += 4;
    }
    countBuffer(histogram, buffer, next);
  }
}

/** Like histogram32; `prefixHigh` and `prefixLow` are the 32-bit halves of the prefix. */
export function histogram64(
  begin: u32, end: u32, histogram: usize, scores: usize, n: u32, shift: u32, bits: u32, prefixHigh: u32, prefixLow: u32,
): void {
  const mask: u64 = (1 << bits) - 1;
  const masks = i64x2.splat(mask);
  const above = shift + bits;
  const prefix = (<u64>prefixHigh << 32) | prefixLow;
  const wanted = i64x2.splat(prefix);
  const buffer = histogram + 4 * HISTOGRAM_BYTES;
  for (let unit = begin; unit < end; unit++) {
    let at = scores + <usize>unit * UNIT * 8;
    let left = min(UNIT, n - unit * UNIT);
    let next = buffer;
    for (; left >= 4; left -= 4) {
      const x = keys64(v128.load(at)), y = keys64(v128.load(at, 16));
      const buckets = lowHalves(v128.and(i64x2.shr_u(x, shift), masks), v128.and(i64x2.shr_u(y, shift), masks));
      // The first digit has no bits above it, hence no prefix; a shift by 64 would be one by 0.
      if (above == 64) countFour(histogram, buckets);
      else {
        const areHits = lowHalves(i64x2.eq(i64x2.shr_u(x, above), wanted), i64x2.eq(i64x2.shr_u(y, above), wanted));
        next = append(next, buckets, i32x4.bitmask(areHits));
      }
      at += 32;
    }
    for (; left > 0; left--) {
      const key = key64(load<f64>(at));
      store<u32>(next, <u32>((key >> shift) & mask));
      next += <u32>(above == 64 || key >> above == prefix) << 2;
      at += 8;
    }
    countBuffer(histogram, buffer, next);
  }
}

// @ts-ignore: decorator
@inline
function countFour(histogram: usize, buckets: v128): void {
  count(histogram, i32x4.extract_lane(buckets, 0));
  count(histogram + HISTOGRAM_BYTES, i32x4.extract_lane(buckets, 1));
  count(histogram + 2 * HISTOGRAM_BYTES, i32x4.extract_lane(buckets, 2));
  count(histogram + 3 * HISTOGRAM_BYTES, i32x4.extract_lane(buckets, 3));
}

function countBuffer(histogram: usize, buffer: usize, bufferEnd: usize): void {
  for (; buffer + 16 <= bufferEnd; buffer += 16) countFour(histogram, v128.load(buffer));
  for (; buffer < bufferEnd; buffer += 4) count(histogram, load<u32>(buffer));
}

/**
 * For each unit: the indices (plus `offset`) of the scores above the bar and of the first `ties` equal to it, ascending,
 * at out + unit * UNIT * 4; counts[2 unit] = how many, counts[2 unit + 1] = how many are ties. NaN counts as -Infinity.
 */
// @ts-ignore: decorator
@inline
export function collect<T>(
  begin: u32, end: u32, scores: usize, n: u32, bar: T, ties: u32, offset: u32, out: usize, counts: usize,
): void {
  const V: u32 = 16 / sizeof<T>();
  const barVector = v128.splat<T>(bar);
  for (let unit = begin; unit < end; unit++) {
    const from = unit * UNIT, to = min(from + UNIT, n);
    const target = out + <usize>unit * UNIT * 4;
    let at = scores + <usize>from * sizeof<T>();
    let next = target;
    let tied: u32 = 0;
    let i = from;
    while (i < to) {
      let stop = i + 1;
      if (i + V <= to) {
        const x = v128.load(at);
        // NaN, a tie with a bar of -Infinity, is equal to nothing: then every score takes the slow way.
        if (bar != -Infinity && !v128.any_true(v128.eq<T>(x, barVector))) {
          const isAbove = v128.gt<T>(x, barVector);
          if (sizeof<T>() == 4) {
            const indices = i32x4.add(i32x4.splat(i + offset), i32x4(0, 1, 2, 3));
            next = append(next, indices, i32x4.bitmask(isAbove));
          } else {
            const hits = i64x2.bitmask(isAbove);
            store<u32>(next, i + offset);
            next += (hits & 1) << 2;
            store<u32>(next, i + offset + 1);
            next += (hits & 2) << 1;
          }
          at += 16;
          i += V;
          continue;
        }
        stop = i + V;
      }
      for (; i < stop; i++) {
        let x = load<T>(at);
        at += sizeof<T>();
        if (x != x) x = -Infinity;
        if (x < bar) continue;
        if (x == bar) {
          if (tied == ties) continue;
          tied++;
        }
        store<u32>(next, i + offset);
        next += 4;
      }
    }
    store<u32>(counts + <usize>unit * 8, <u32>(next - target) >> 2);
    store<u32>(counts + <usize>unit * 8, tied, 4);
  }
}
