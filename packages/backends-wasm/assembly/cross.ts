// The micro kernel of products with a transposed left-hand operand, read in place: up to 6 rows of c by two vectors,
//
//   c[r, :] = sum_k a[k, r] b[k, :] (+ c[r, :])
//
// with a [k, rows] as it is stored and b in a packed panel, or as it is stored, too; k may come in several runs of rows, one after the other, with other rows
// between. One running sum an entry over k in ascending order.
import { lanes, madd } from "./simd";

// @ts-ignore: decorator
@inline
function crossTile<T>(
  rows: u32, vectors: u32, runs: u32, k: u32, a: usize, lda: usize, runA: usize, b: usize, ldb: usize, runB: usize, c: usize, ldc: usize, isSum: bool,
): void {
  let x: v128, b0: v128, b1 = i32x4.splat(0);
  let c00 = i32x4.splat(0), c01 = i32x4.splat(0);
  let c10 = i32x4.splat(0), c11 = i32x4.splat(0);
  let c20 = i32x4.splat(0), c21 = i32x4.splat(0);
  let c30 = i32x4.splat(0), c31 = i32x4.splat(0);
  let c40 = i32x4.splat(0), c41 = i32x4.splat(0);
  let c50 = i32x4.splat(0), c51 = i32x4.splat(0);
  if (isSum) {
    c00 = v128.load(c); if (vectors > 1) c01 = v128.load(c, 16);
    if (rows > 1) { c10 = v128.load(c + ldc); if (vectors > 1) c11 = v128.load(c + ldc, 16); }
    if (rows > 2) { c20 = v128.load(c + 2 * ldc); if (vectors > 1) c21 = v128.load(c + 2 * ldc, 16); }
    if (rows > 3) { c30 = v128.load(c + 3 * ldc); if (vectors > 1) c31 = v128.load(c + 3 * ldc, 16); }
    if (rows > 4) { c40 = v128.load(c + 4 * ldc); if (vectors > 1) c41 = v128.load(c + 4 * ldc, 16); }
    if (rows > 5) { c50 = v128.load(c + 5 * ldc); if (vectors > 1) c51 = v128.load(c + 5 * ldc, 16); }
  }
  for (; runs > 0; runs--) {
    for (let left = k; left > 0; left--) {
      b0 = v128.load(b);
      if (vectors > 1) b1 = v128.load(b, 16);
      x = v128.load_splat<T>(a); c00 = madd<T>(x, b0, c00); if (vectors > 1) c01 = madd<T>(x, b1, c01);
      if (rows > 1) { x = v128.load_splat<T>(a, sizeof<T>() * 1); c10 = madd<T>(x, b0, c10); if (vectors > 1) c11 = madd<T>(x, b1, c11); }
      if (rows > 2) { x = v128.load_splat<T>(a, sizeof<T>() * 2); c20 = madd<T>(x, b0, c20); if (vectors > 1) c21 = madd<T>(x, b1, c21); }
      if (rows > 3) { x = v128.load_splat<T>(a, sizeof<T>() * 3); c30 = madd<T>(x, b0, c30); if (vectors > 1) c31 = madd<T>(x, b1, c31); }
      if (rows > 4) { x = v128.load_splat<T>(a, sizeof<T>() * 4); c40 = madd<T>(x, b0, c40); if (vectors > 1) c41 = madd<T>(x, b1, c41); }
      if (rows > 5) { x = v128.load_splat<T>(a, sizeof<T>() * 5); c50 = madd<T>(x, b0, c50); if (vectors > 1) c51 = madd<T>(x, b1, c51); }
      a += lda;
      b += ldb;
    }
    a += runA;
    b += runB;
  }
  v128.store(c, c00); if (vectors > 1) v128.store(c, c01, 16);
  if (rows > 1) { v128.store(c + ldc, c10); if (vectors > 1) v128.store(c + ldc, c11, 16); }
  if (rows > 2) { v128.store(c + 2 * ldc, c20); if (vectors > 1) v128.store(c + 2 * ldc, c21, 16); }
  if (rows > 3) { v128.store(c + 3 * ldc, c30); if (vectors > 1) v128.store(c + 3 * ldc, c31, 16); }
  if (rows > 4) { v128.store(c + 4 * ldc, c40); if (vectors > 1) v128.store(c + 4 * ldc, c41, 16); }
  if (rows > 5) { v128.store(c + 5 * ldc, c50); if (vectors > 1) v128.store(c + 5 * ldc, c51, 16); }
}

function cross6x2<T>(runs: u32, k: u32, a: usize, lda: usize, runA: usize, b: usize, ldb: usize, runB: usize, c: usize, ldc: usize, isSum: bool): void {
  crossTile<T>(6, 2, runs, k, a, lda, runA, b, ldb, runB, c, ldc, isSum);
}
function cross4x2<T>(runs: u32, k: u32, a: usize, lda: usize, runA: usize, b: usize, ldb: usize, runB: usize, c: usize, ldc: usize, isSum: bool): void {
  crossTile<T>(4, 2, runs, k, a, lda, runA, b, ldb, runB, c, ldc, isSum);
}
function cross2x2<T>(runs: u32, k: u32, a: usize, lda: usize, runA: usize, b: usize, ldb: usize, runB: usize, c: usize, ldc: usize, isSum: bool): void {
  crossTile<T>(2, 2, runs, k, a, lda, runA, b, ldb, runB, c, ldc, isSum);
}
function cross4x1<T>(runs: u32, k: u32, a: usize, lda: usize, runA: usize, b: usize, ldb: usize, runB: usize, c: usize, ldc: usize, isSum: bool): void {
  crossTile<T>(4, 1, runs, k, a, lda, runA, b, ldb, runB, c, ldc, isSum);
}
function cross2x1<T>(runs: u32, k: u32, a: usize, lda: usize, runA: usize, b: usize, ldb: usize, runB: usize, c: usize, ldc: usize, isSum: bool): void {
  crossTile<T>(2, 1, runs, k, a, lda, runA, b, ldb, runB, c, ldc, isSum);
}

/** One panel of one or two whole vectors of columns; `rows` even, b packed. Strides are in bytes. */
// @ts-ignore: decorator
@inline
export function crossProduct<T>(
  rows: u32, k: u32, a: usize, lda: usize, b: usize, c: usize, ldc: usize, isSum: bool, cols: u32,
): void {
  crossRuns<T>(rows, 1, k, a, lda, 0, b, cols > lanes<T>() ? 32 : 16, 0, c, ldc, isSum, cols);
}

/** The same over `runs` of k rows each: `runA` and `runB` lead from the end of one to the beginning of the next. */
export function crossRuns<T>(
  rows: u32, runs: u32, k: u32, a: usize, lda: usize, runA: usize, b: usize, ldb: usize, runB: usize, c: usize, ldc: usize, isSum: bool, cols: u32,
): void {
  const isWide = cols > lanes<T>();
  // Sixteen rows go as 6 + 6 + 4, any even number ends in fours and twos.
  while (rows > 0) {
    const take: u32 = isWide && rows >= 6 && rows != 8 ? 6 : rows >= 4 ? 4 : 2;
    if (isWide) {
      if (take == 6) cross6x2<T>(runs, k, a, lda, runA, b, ldb, runB, c, ldc, isSum);
      else if (take == 4) cross4x2<T>(runs, k, a, lda, runA, b, ldb, runB, c, ldc, isSum);
      else cross2x2<T>(runs, k, a, lda, runA, b, ldb, runB, c, ldc, isSum);
    } else if (take == 4) cross4x1<T>(runs, k, a, lda, runA, b, ldb, runB, c, ldc, isSum);
    else cross2x1<T>(runs, k, a, lda, runA, b, ldb, runB, c, ldc, isSum);
    a += take * sizeof<T>();
    c += take * ldc;
    rows -= take;
  }
}
