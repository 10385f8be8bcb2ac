// Matrix times vector, and transpose times vector. Both are bound by memory: each entry of A is read once, in order.
//
// Partial sums of at most SPAN (CHUNK for the transpose) products are taken in the operands' dtype and added up in f64.
import { lanes, madd, promoteHigh, sumOfLanes } from "./simd";

/** Products summed in the operands' dtype before they join an f64 sum. */
const SPAN: u32 = 1024;
/** Rows of A in one chunk of a transposed product; the chunks' sums are added up in f64. */
const CHUNK: u32 = 256;
/** Bytes of accumulators of one unit of a transposed product: a third of a first-level cache, and long stretches of each row. */
const UNIT_BYTES: u32 = 16384;

/** sums[i] (+)= sum_j a[i, j] x[j] in f64. A unit is 4 rows. Column ranges must start at multiples of SPAN. */
// @ts-ignore: decorator
@inline
export function rowProducts<T>(
  begin: u32, end: u32, a: usize, lda: u32, rows: u32, cols: u32, x: usize, sums: usize, isFirst: bool,
): void {
  const stride = <usize>lda * sizeof<T>();
  for (let unit = begin; unit < end; unit++) {
    const i = unit * 4;
    const row = a + i * stride;
    const sum = sums + i * 8;
    if (isFirst) memory.fill(sum, 0, <usize>min<u32>(4, rows - i) * 8);
    if (i + 4 <= rows) fourRows<T>(row, stride, cols, x, sum);
    else for (let r: u32 = 0; r < rows - i; r++) oneRow<T>(row + r * stride, cols, x, sum + r * 8);
  }
}

function fourRows<T>(a: usize, stride: usize, cols: u32, x: usize, sums: usize): void {
  const V = lanes<T>();
  let a0 = a, a1 = a0 + stride, a2 = a1 + stride, a3 = a2 + stride;
  let s0: f64 = load<f64>(sums), s1: f64 = load<f64>(sums, 8), s2: f64 = load<f64>(sums, 16), s3: f64 = load<f64>(sums, 24);
  while (cols > 0) {
    const span = min(SPAN, cols);
    cols -= span;
    let c0 = i32x4.splat(0), c1 = i32x4.splat(0), c2 = i32x4.splat(0), c3 = i32x4.splat(0);
    const stop = x + (span & ~(V - 1)) * sizeof<T>();
    while (x < stop) {
      const v = v128.load(x);
      c0 = madd<T>(v128.load(a0), v, c0);
      c1 = madd<T>(v128.load(a1), v, c1);
      c2 = madd<T>(v128.load(a2), v, c2);
      c3 = madd<T>(v128.load(a3), v, c3);
      x += 16; a0 += 16; a1 += 16; a2 += 16; a3 += 16;
    }
    s0 += sumOfLanes<T>(c0);
    s1 += sumOfLanes<T>(c1);
    s2 += sumOfLanes<T>(c2);
    s3 += sumOfLanes<T>(c3);
    for (let rest = span & (V - 1); rest > 0; rest--) {
      const v = <f64>load<T>(x);
      s0 += <f64>load<T>(a0) * v;
      s1 += <f64>load<T>(a1) * v;
      s2 += <f64>load<T>(a2) * v;
      s3 += <f64>load<T>(a3) * v;
      x += sizeof<T>(); a0 += sizeof<T>(); a1 += sizeof<T>(); a2 += sizeof<T>(); a3 += sizeof<T>();
    }
  }
  store<f64>(sums, s0);
  store<f64>(sums, s1, 8);
  store<f64>(sums, s2, 16);
  store<f64>(sums, s3, 24);
}

// The same sums in the same order as one of fourRows.
function oneRow<T>(a: usize, cols: u32, x: usize, sum: usize): void {
  const V = lanes<T>();
  let s = load<f64>(sum);
  while (cols > 0) {
    const span = min(SPAN, cols);
    cols -= span;
    let c = i32x4.splat(0);
    const stop = x + (span & ~(V - 1)) * sizeof<T>();
    while (x < stop) {
      c = madd<T>(v128.load(a), v128.load(x), c);
      x += 16; a += 16;
    }
    s += sumOfLanes<T>(c);
    for (let rest = span & (V - 1); rest > 0; rest--) {
      s += <f64>load<T>(a) * <f64>load<T>(x);
      x += sizeof<T>(); a += sizeof<T>();
    }
  }
  store<f64>(sum, s);
}

/**
 * `rowProducts` for f32 rows and an f64 vector, in f64: the sums of rowProducts over rows that were converted before, in the same order.
 * A unit is 4 rows.
 */
export function rowProductsMixed(
  begin: u32, end: u32, a: usize, lda: u32, rows: u32, cols: u32, x: usize, sums: usize, isFirst: bool,
): void {
  const stride = <usize>lda * 4;
  for (let unit = begin; unit < end; unit++) {
    const i = unit * 4;
    const row = a + i * stride;
    const sum = sums + i * 8;
    if (isFirst) memory.fill(sum, 0, <usize>min<u32>(4, rows - i) * 8);
    if (i + 4 <= rows) fourMixedRows(row, stride, cols, x, sum);
    else for (let r: u32 = 0; r < rows - i; r++) oneMixedRow(row + r * stride, cols, x, sum + r * 8);
  }
}

function fourMixedRows(a: usize, stride: usize, cols: u32, x: usize, sums: usize): void {
  let a0 = a, a1 = a0 + stride, a2 = a1 + stride, a3 = a2 + stride;
  let s0: f64 = load<f64>(sums), s1: f64 = load<f64>(sums, 8), s2: f64 = load<f64>(sums, 16), s3: f64 = load<f64>(sums, 24);
  while (cols > 0) {
    const span = min(SPAN, cols);
    cols -= span;
    let c0 = i32x4.splat(0), c1 = i32x4.splat(0), c2 = i32x4.splat(0), c3 = i32x4.splat(0);
    const stop = x + (span & ~3) * 8;
    while (x < stop) {
      const low = v128.load(x), high = v128.load(x, 16);
      let row = v128.load(a0);
      c0 = madd<f64>(promoteHigh(row), high, madd<f64>(f64x2.promote_low_f32x4(row), low, c0));
      row = v128.load(a1);
      c1 = madd<f64>(promoteHigh(row), high, madd<f64>(f64x2.promote_low_f32x4(row), low, c1));
      row = v128.load(a2);
      c2 = madd<f64>(promoteHigh(row), high, madd<f64>(f64x2.promote_low_f32x4(row), low, c2));
      row = v128.load(a3);
      c3 = madd<f64>(promoteHigh(row), high, madd<f64>(f64x2.promote_low_f32x4(row), low, c3));
      x += 32; a0 += 16; a1 += 16; a2 += 16; a3 += 16;
    }
    if ((span & 2) != 0) {
      const v = v128.load(x);
      c0 = madd<f64>(pairOf(a0), v, c0);
      c1 = madd<f64>(pairOf(a1), v, c1);
      c2 = madd<f64>(pairOf(a2), v, c2);
      c3 = madd<f64>(pairOf(a3), v, c3);
      x += 16; a0 += 8; a1 += 8; a2 += 8; a3 += 8;
    }
    s0 += sumOfLanes<f64>(c0);
    s1 += sumOfLanes<f64>(c1);
    s2 += sumOfLanes<f64>(c2);
    s3 += sumOfLanes<f64>(c3);
    if ((span & 1) != 0) {
      const v = load<f64>(x);
      s0 += <f64>load<f32>(a0) * v;
      s1 += <f64>load<f32>(a1) * v;
      s2 += <f64>load<f32>(a2) * v;
      s3 += <f64>load<f32>(a3) * v;
      x += 8; a0 += 4; a1 += 4; a2 += 4; a3 += 4;
    }
  }
  store<f64>(sums, s0);
  store<f64>(sums, s1, 8);
  store<f64>(sums, s2, 16);
  store<f64>(sums, s3, 24);
}

// The same sums in the same order as one of fourMixedRows.
function oneMixedRow(a: usize, cols: u32, x: usize, sum: usize): void {
  let s = load<f64>(sum);
  while (cols > 0) {
    const span = min(SPAN, cols);
    cols -= span;
    let c = i32x4.splat(0);
    const stop = x + (span & ~1) * 8;
    while (x < stop) {
      c = madd<f64>(pairOf(a), v128.load(x), c);
      x += 16; a += 8;
    }
    s += sumOfLanes<f64>(c);
    if ((span & 1) != 0) {
      s += <f64>load<f32>(a) * load<f64>(x);
      x += 8; a += 4;
    }
  }
  store<f64>(sum, s);
}

// @ts-ignore: decorator
@inline
function pairOf(a: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(a));
}

/** Columns of one unit of a transposed product. */
// @ts-ignore: decorator
@inline
function unitColumns<T>(): u32 {
  return UNIT_BYTES / sizeof<T>();
}

/**
 * partials[chunk, j] (+)= sum over the chunk's rows of a[i, j] x[i], in the operands' dtype, rows in order. A unit is one chunk of 256
 * rows by `unitColumns` columns (all columns of a chunk first). Column ranges must start at multiples of a vector; a range of fewer
 * rows than a chunk continues it unless `isFirst`.
 */
// @ts-ignore: decorator
@inline
export function columnProducts<T>(
  begin: u32, end: u32, a: usize, lda: u32, rows: u32, cols: u32, x: usize,
  partials: usize, partialStride: u32, isFirst: bool,
): void {
  const stride = <usize>lda * sizeof<T>();
  const unitsAcross = (cols + unitColumns<T>() - 1) / unitColumns<T>();
  for (let unit = begin; unit < end; unit++) {
    const i = unit / unitsAcross * CHUNK;
    const j = unit % unitsAcross * unitColumns<T>();
    const width = min(unitColumns<T>(), cols - j);
    const sums = partials + (<usize>(unit / unitsAcross) * partialStride + j) * sizeof<T>();
    if (isFirst) memory.fill(sums, 0, width * sizeof<T>());
    chunkProduct<T>(a + i * stride + j * sizeof<T>(), stride, min(CHUNK, rows - i), width, x + i * sizeof<T>(), sums);
  }
}

function chunkProduct<T>(a: usize, stride: usize, rows: u32, cols: u32, x: usize, sums: usize): void {
  const V = lanes<T>();
  const vectorEnd = sums + (cols & ~(V - 1)) * sizeof<T>();
  const sumsEnd = sums + cols * sizeof<T>();
  for (; rows >= 8; rows -= 8) {
    const x0 = v128.load_splat<T>(x), x1 = v128.load_splat<T>(x, sizeof<T>());
    const x2 = v128.load_splat<T>(x, 2 * sizeof<T>()), x3 = v128.load_splat<T>(x, 3 * sizeof<T>());
    const x4 = v128.load_splat<T>(x, 4 * sizeof<T>()), x5 = v128.load_splat<T>(x, 5 * sizeof<T>());
    const x6 = v128.load_splat<T>(x, 6 * sizeof<T>()), x7 = v128.load_splat<T>(x, 7 * sizeof<T>());
    let a0 = a, a1 = a0 + stride, a2 = a1 + stride, a3 = a2 + stride;
    const four = 4 * stride;
    let at = sums;
    while (at < vectorEnd) {
      let sum = v128.load(at);
      sum = madd<T>(v128.load(a0), x0, sum);
      sum = madd<T>(v128.load(a1), x1, sum);
      sum = madd<T>(v128.load(a2), x2, sum);
      sum = madd<T>(v128.load(a3), x3, sum);
      sum = madd<T>(v128.load(a0 + four), x4, sum);
      sum = madd<T>(v128.load(a1 + four), x5, sum);
      sum = madd<T>(v128.load(a2 + four), x6, sum);
      sum = madd<T>(v128.load(a3 + four), x7, sum);
      v128.store(at, sum);
      at += 16; a0 += 16; a1 += 16; a2 += 16; a3 += 16;
    }
    while (at < sumsEnd) {
      let sum = load<T>(at), row = a + (at - sums);
      for (let r: u32 = 0; r < 8; r++, row += stride) sum += load<T>(row) * load<T>(x + r * sizeof<T>());
      store<T>(at, sum);
      at += sizeof<T>();
    }
    a += 8 * stride;
    x += 8 * sizeof<T>();
  }
  for (; rows > 0; rows--) {
    const x0 = v128.load_splat<T>(x);
    let a0 = a, at = sums;
    for (; at < vectorEnd; at += 16, a0 += 16) v128.store(at, madd<T>(v128.load(a0), x0, v128.load(at)));
    for (; at < sumsEnd; at += sizeof<T>(), a0 += sizeof<T>()) store<T>(at, load<T>(at) + load<T>(a0) * load<T>(x));
    a += stride;
    x += sizeof<T>();
  }
}

/** sums[j] (+)= sum over chunks, in order, of partials[chunk, j], in f64. A unit is 512 columns. */
// @ts-ignore: decorator
@inline
export function addPartials<T>(
  begin: u32, end: u32, partials: usize, chunks: u32, cols: u32, sums: usize, isFirst: bool,
): void {
  for (let j = begin * 512; j < min(end * 512, cols); j++) {
    let at = partials + <usize>j * sizeof<T>();
    let sum = isFirst ? 0 : load<f64>(sums + <usize>j * 8);
    for (let chunk: u32 = 0; chunk < chunks; chunk++) {
      sum += <f64>load<T>(at);
      at += <usize>cols * sizeof<T>();
    }
    store<f64>(sums + <usize>j * 8, sum);
  }
}

/** out[i] = alpha * sums[i] + beta * out[i], computed in f64; beta 0 overwrites. A unit is 512 entries. */
// @ts-ignore: decorator
@inline
export function storeSums<T>(begin: u32, end: u32, sums: usize, n: u32, out: usize, alpha: f64, beta: f64): void {
  for (let i = begin * 512; i < min(end * 512, n); i++) {
    const at = out + <usize>i * sizeof<T>();
    const sum = alpha * load<f64>(sums + <usize>i * 8);
    store<T>(at, <T>(beta == 0 ? sum : sum + beta * <f64>load<T>(at)));
  }
}
