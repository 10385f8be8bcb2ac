// Sums accumulated in f64, also over f32 operands, in an order fixed by position alone.
import { promoteHigh } from "./simd";

/** Entries of one unit of a dot product. */
const DOT_UNIT: u32 = 4096;
/** Entries of a row summed before its next column tile may start. */
const SPAN: u32 = 1024;
/** Rows of one chunk, columns of one unit of columnSums. */
const CHUNK: u32 = 256;
const UNIT_COLUMNS: u32 = 1024;

// sum of a[i] b[i] in f64, in four interleaved sums
// @ts-ignore: decorator
@inline
function dotSpan<T>(a: usize, b: usize, n: u32): f64 {
  let s0 = i32x4.splat(0), s1 = i32x4.splat(0);
  let left = n;
  for (; left >= 4; left -= 4) {
    const x = v128.load(a), y = v128.load(b);
    if (sizeof<T>() == 4) {
      s0 = f64x2.add(s0, f64x2.mul(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(y)));
      s1 = f64x2.add(s1, f64x2.mul(promoteHigh(x), promoteHigh(y)));
    } else {
      s0 = f64x2.add(s0, f64x2.mul(x, y));
      s1 = f64x2.add(s1, f64x2.mul(v128.load(a, 16), v128.load(b, 16)));
    }
    a += 4 * sizeof<T>();
    b += 4 * sizeof<T>();
  }
  const s = f64x2.add(s0, s1);
  let sum = f64x2.extract_lane(s, 0) + f64x2.extract_lane(s, 1);
  for (; left > 0; left--) {
    sum += <f64>load<T>(a) * <f64>load<T>(b);
    a += sizeof<T>();
    b += sizeof<T>();
  }
  return sum;
}

/** partials[unit] = the dot product of 4096 entries. */
// @ts-ignore: decorator
@inline
export function dotUnits<T>(begin: u32, end: u32, a: usize, b: usize, n: u32, partials: usize): void {
  for (let unit = begin; unit < end; unit++) {
    const i = <usize>unit * DOT_UNIT;
    const count = min<u32>(DOT_UNIT, n - <u32>i);
    store<f64>(partials + <usize>unit * 8, dotSpan<T>(a + i * sizeof<T>(), b + i * sizeof<T>(), count));
  }
}

/** sums[i] (+)= sum_j a[i, j] b[i, j]. A unit is one row. Column ranges must start at multiples of SPAN. */
// @ts-ignore: decorator
@inline
export function rowDots<T>(
  begin: u32, end: u32, a: usize, lda: u32, b: usize, ldb: u32, cols: u32, sums: usize, isFirst: bool,
): void {
  for (let i = begin; i < end; i++) {
    let sum = isFirst ? 0 : load<f64>(sums + <usize>i * 8);
    let x = a + <usize>i * lda * sizeof<T>(), y = b + <usize>i * ldb * sizeof<T>();
    for (let left = cols; left > 0; ) {
      const span = min(SPAN, left);
      sum += dotSpan<T>(x, y, span);
      x += span * sizeof<T>();
      y += span * sizeof<T>();
      left -= span;
    }
    store<f64>(sums + <usize>i * 8, sum);
  }
}

/** partials[chunk, j] (+)= sum over the chunk's 256 rows of a[i, j], in f64; otherwise like columnProducts in gemv.ts. */
// @ts-ignore: decorator
@inline
export function columnSums<T>(
  begin: u32, end: u32, a: usize, lda: u32, rows: u32, cols: u32, partials: usize, partialStride: u32, isFirst: bool,
): void {
  const stride = <usize>lda * sizeof<T>();
  const unitsAcross = (cols + UNIT_COLUMNS - 1) / UNIT_COLUMNS;
  for (let unit = begin; unit < end; unit++) {
    const i = unit / unitsAcross * CHUNK;
    const j = unit % unitsAcross * UNIT_COLUMNS;
    const width = min(UNIT_COLUMNS, cols - j);
    const sums = partials + (<usize>(unit / unitsAcross) * partialStride + j) * 8;
    if (isFirst) memory.fill(sums, 0, <usize>width * 8);
    let row = a + i * stride + j * sizeof<T>();
    for (let r = min(CHUNK, rows - i); r > 0; r--) {
      addRowTo<T>(row, width, sums);
      row += stride;
    }
  }
}

// @ts-ignore: decorator
@inline
function addRowTo<T>(row: usize, n: u32, sums: usize): void {
  for (; n >= 4; n -= 4) {
    const x = v128.load(row);
    const low = sizeof<T>() == 4 ? f64x2.promote_low_f32x4(x) : x;
    const high = sizeof<T>() == 4 ? promoteHigh(x) : v128.load(row, 16);
    v128.store(sums, f64x2.add(v128.load(sums), low));
    v128.store(sums, f64x2.add(v128.load(sums, 16), high), 16);
    row += 4 * sizeof<T>();
    sums += 32;
  }
  for (; n > 0; n--) {
    store<f64>(sums, load<f64>(sums) + <f64>load<T>(row));
    row += sizeof<T>();
    sums += 8;
  }
}

/** partials[chunk, j] = sum over the chunk's 256 rows of a[i, j] b[i, j], in f64. A unit is one chunk. */
// @ts-ignore: decorator
@inline
export function columnDots<T>(begin: u32, end: u32, a: usize, b: usize, rows: u32, cols: u32, partials: usize): void {
  const stride = <usize>cols * sizeof<T>();
  for (let unit = begin; unit < end; unit++) {
    const from = unit * CHUNK;
    const sums = partials + <usize>unit * cols * 8;
    memory.fill(sums, 0, <usize>cols * 8);
    let x = a + from * stride, y = b + from * stride;
    for (let r = min(CHUNK, rows - from); r > 0; r--) {
      addProductsTo<T>(x, y, cols, sums);
      x += stride; y += stride;
    }
  }
}

// @ts-ignore: decorator
@inline
function addProductsTo<T>(a: usize, b: usize, n: u32, sums: usize): void {
  for (; n >= 4; n -= 4) {
    const x = v128.load(a), y = v128.load(b);
    const xLow = sizeof<T>() == 4 ? f64x2.promote_low_f32x4(x) : x;
    const yLow = sizeof<T>() == 4 ? f64x2.promote_low_f32x4(y) : y;
    const xHigh = sizeof<T>() == 4 ? promoteHigh(x) : v128.load(a, 16);
    const yHigh = sizeof<T>() == 4 ? promoteHigh(y) : v128.load(b, 16);
    v128.store(sums, f64x2.add(v128.load(sums), f64x2.mul(xLow, yLow)));
    v128.store(sums, f64x2.add(v128.load(sums, 16), f64x2.mul(xHigh, yHigh)), 16);
    a += 4 * sizeof<T>(); b += 4 * sizeof<T>();
    sums += 32;
  }
  for (; n > 0; n--) {
    store<f64>(sums, load<f64>(sums) + <f64>load<T>(a) * <f64>load<T>(b));
    a += sizeof<T>(); b += sizeof<T>();
    sums += 8;
  }
}
