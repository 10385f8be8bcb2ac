// The k-th largest by radix: histograms of the sort keys' bits from the top down, then one pass that collects indices.
//
// A key orders like the score: bits of x with the sign flipped, or all bits flipped if negative. Before that -0 becomes 0
// (they tie) and NaN -Infinity. Bits are taken 11 at a time: 3 passes for f32, up to 6 for f64.

/** Scores of one unit. */
const UNIT: u32 = 16384;
const BUCKET_BITS: u32 = 11;
/** Counters of one thread: four interleaved histograms, so that runs of one bucket do not wait for each other's stores. */
const HISTOGRAM_BYTES: usize = 4 << BUCKET_BITS;

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
function count(histogram: usize, bucket: u32): void {
  const at = histogram + <usize>bucket * 4;
  store<u32>(at, load<u32>(at) + 1);
}

/** Adds keys to the thread's four histograms by bits [shift, shift + 11), of those whose bits above equal `prefix`. */
export function histogram32(
  begin: u32, end: u32, histogram: usize, scores: usize, n: u32, shift: u32, bits: u32, prefix: u32,
): void {
  const from = begin * UNIT, to = min(end * UNIT, n);
  const mask: u32 = (1 << bits) - 1;
  const above = shift + bits;
  let at = scores + <usize>from * 4;
  let left = to - from;
  if (above == 32) {
    for (; left >= 4; left -= 4) {
      const buckets = i32x4.shr_u(keys32(v128.load(at)), shift);
      count(histogram, i32x4.extract_lane(buckets, 0));
      count(histogram + HISTOGRAM_BYTES, i32x4.extract_lane(buckets, 1));
      count(histogram + 2 * HISTOGRAM_BYTES, i32x4.extract_lane(buckets, 2));
      count(histogram + 3 * HISTOGRAM_BYTES, i32x4.extract_lane(buckets, 3));
      at += 16;
    }
    for (; left > 0; left--) {
      count(histogram, key32(load<f32>(at)) >> shift);
      at += 4;
    }
    return;
  }
  const wanted = i32x4.splat(prefix);
  for (; left >= 4; left -= 4) {
    let hits = i32x4.bitmask(i32x4.eq(i32x4.shr_u(keys32(v128.load(at)), above), wanted));
    while (hits != 0) {
      count(histogram, (key32(load<f32>(at + <usize>ctz(hits) * 4)) >> shift) & mask);
      hits &= hits - 1;
    }
    at += 16;
  }
  for (; left > 0; left--) {
    const key = key32(load<f32>(at));
    if (key >> above == prefix) count(histogram, (key >> shift) & mask);
    at += 4;
  }
}

/** Like histogram32; `prefixHigh` and `prefixLow` are the 32-bit halves of the prefix. */
export function histogram64(
  begin: u32, end: u32, histogram: usize, scores: usize, n: u32, shift: u32, bits: u32, prefixHigh: u32, prefixLow: u32,
): void {
  const from = begin * UNIT, to = min(end * UNIT, n);
  const mask: u64 = (1 << bits) - 1;
  const above = shift + bits;
  const prefix = (<u64>prefixHigh << 32) | prefixLow;
  for (let i = from; i < to; i++) {
    const key = key64(load<f64>(scores + <usize>i * 8));
    if (above == 64 || key >> above == prefix) count(histogram + (i & 3) * HISTOGRAM_BYTES, <u32>((key >> shift) & mask));
  }
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
  for (let unit = begin; unit < end; unit++) {
    const from = unit * UNIT, to = min(from + UNIT, n);
    const target = out + <usize>unit * UNIT * 4;
    let next = target;
    let tied: u32 = 0;
    let i = from;
    for (; i < to; i++) {
      const at = scores + <usize>i * sizeof<T>();
      // Most scores are below the bar: skip them a vector at a time. Nothing is below -Infinity.
      if (bar != -Infinity && i + 16 / sizeof<T>() <= to) {
        if (!v128.any_true(v128.ge<T>(v128.load(at), v128.splat<T>(bar)))) {
          i += 16 / sizeof<T>() - 1;
          continue;
        }
      }
      let x = load<T>(at);
      if (x != x) x = -Infinity;
      if (x < bar) continue;
      if (x == bar) {
        if (tied == ties) continue;
        tied++;
      }
      store<u32>(next, i + offset);
      next += 4;
    }
    store<u32>(counts + <usize>unit * 8, <u32>(next - target) >> 2);
    store<u32>(counts + <usize>unit * 8, tied, 4);
  }
}
