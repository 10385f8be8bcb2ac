// The micro kernel under every matrix product: a tile of out, up to 6 rows by two vectors, held in 12 accumulators.
//
//   c[r, :] = alpha * sum_k a[r, k] b[k, :] + beta * c[r, :]        (beta 0 overwrites)
//
// Each entry is one running sum over k in ascending order, whatever the tile's shape or place, so that the bytes of a
// product do not depend on how it was cut into tiles. The epilogue is never fused, for the same reason: the scalar path
// at the right edge has no fused form. 6 x 2 vectors and four steps of k a round were the fastest of those measured
// with the 16 vector registers of x86-64; a is read in place, b from a packed panel of `vectors` vectors a step.
import { madd } from "./simd";

/** Tallest tile, in rows. */
export const TILE_ROWS: u32 = 6;
/** Widest tile, in vectors. */
export const TILE_VECTORS: u32 = 2;
/** Bytes of the buffer that a tile at the right edge is spilled to. */
export const TILE_BYTES: usize = 192;

// Inlined into each variant below, where `rows` and `vectors` are constants: the tests on them vanish.
// @ts-ignore: decorator
@inline
function tile<T>(
  rows: u32, vectors: u32, k: u32, a: usize, lda: usize, b: usize, c: usize, ldc: usize,
  alpha: T, beta: T, cols: u32, spill: usize,
): void {
  let a0 = a, a1 = a0 + lda, a2 = a1 + lda, a3 = a2 + lda, a4 = a3 + lda, a5 = a4 + lda;
  let x: v128, b0: v128, b1 = i32x4.splat(0);
  let c00 = i32x4.splat(0), c01 = i32x4.splat(0);
  let c10 = i32x4.splat(0), c11 = i32x4.splat(0);
  let c20 = i32x4.splat(0), c21 = i32x4.splat(0);
  let c30 = i32x4.splat(0), c31 = i32x4.splat(0);
  let c40 = i32x4.splat(0), c41 = i32x4.splat(0);
  let c50 = i32x4.splat(0), c51 = i32x4.splat(0);
  let left = k;
  for (; left >= 4; left -= 4) {
    b0 = v128.load(b);
    if (vectors > 1) b1 = v128.load(b, 16);
    x = v128.load_splat<T>(a0); c00 = madd<T>(x, b0, c00); if (vectors > 1) c01 = madd<T>(x, b1, c01);
    if (rows > 1) { x = v128.load_splat<T>(a1); c10 = madd<T>(x, b0, c10); if (vectors > 1) c11 = madd<T>(x, b1, c11); }
    if (rows > 2) { x = v128.load_splat<T>(a2); c20 = madd<T>(x, b0, c20); if (vectors > 1) c21 = madd<T>(x, b1, c21); }
    if (rows > 3) { x = v128.load_splat<T>(a3); c30 = madd<T>(x, b0, c30); if (vectors > 1) c31 = madd<T>(x, b1, c31); }
    if (rows > 4) { x = v128.load_splat<T>(a4); c40 = madd<T>(x, b0, c40); if (vectors > 1) c41 = madd<T>(x, b1, c41); }
    if (rows > 5) { x = v128.load_splat<T>(a5); c50 = madd<T>(x, b0, c50); if (vectors > 1) c51 = madd<T>(x, b1, c51); }
    if (vectors > 1) { b0 = v128.load(b, 32); b1 = v128.load(b, 48); } else b0 = v128.load(b, 16);
    x = v128.load_splat<T>(a0, sizeof<T>() * 1); c00 = madd<T>(x, b0, c00); if (vectors > 1) c01 = madd<T>(x, b1, c01);
    if (rows > 1) { x = v128.load_splat<T>(a1, sizeof<T>() * 1); c10 = madd<T>(x, b0, c10); if (vectors > 1) c11 = madd<T>(x, b1, c11); }
    if (rows > 2) { x = v128.load_splat<T>(a2, sizeof<T>() * 1); c20 = madd<T>(x, b0, c20); if (vectors > 1) c21 = madd<T>(x, b1, c21); }
    if (rows > 3) { x = v128.load_splat<T>(a3, sizeof<T>() * 1); c30 = madd<T>(x, b0, c30); if (vectors > 1) c31 = madd<T>(x, b1, c31); }
    if (rows > 4) { x = v128.load_splat<T>(a4, sizeof<T>() * 1); c40 = madd<T>(x, b0, c40); if (vectors > 1) c41 = madd<T>(x, b1, c41); }
    if (rows > 5) { x = v128.load_splat<T>(a5, sizeof<T>() * 1); c50 = madd<T>(x, b0, c50); if (vectors > 1) c51 = madd<T>(x, b1, c51); }
    if (vectors > 1) { b0 = v128.load(b, 64); b1 = v128.load(b, 80); } else b0 = v128.load(b, 32);
    x = v128.load_splat<T>(a0, sizeof<T>() * 2); c00 = madd<T>(x, b0, c00); if (vectors > 1) c01 = madd<T>(x, b1, c01);
    if (rows > 1) { x = v128.load_splat<T>(a1, sizeof<T>() * 2); c10 = madd<T>(x, b0, c10); if (vectors > 1) c11 = madd<T>(x, b1, c11); }
    if (rows > 2) { x = v128.load_splat<T>(a2, sizeof<T>() * 2); c20 = madd<T>(x, b0, c20); if (vectors > 1) c21 = madd<T>(x, b1, c21); }
    if (rows > 3) { x = v128.load_splat<T>(a3, sizeof<T>() * 2); c30 = madd<T>(x, b0, c30); if (vectors > 1) c31 = madd<T>(x, b1, c31); }
    if (rows > 4) { x = v128.load_splat<T>(a4, sizeof<T>() * 2); c40 = madd<T>(x, b0, c40); if (vectors > 1) c41 = madd<T>(x, b1, c41); }
    if (rows > 5) { x = v128.load_splat<T>(a5, sizeof<T>() * 2); c50 = madd<T>(x, b0, c50); if (vectors > 1) c51 = madd<T>(x, b1, c51); }
    if (vectors > 1) { b0 = v128.load(b, 96); b1 = v128.load(b, 112); } else b0 = v128.load(b, 48);
    x = v128.load_splat<T>(a0, sizeof<T>() * 3); c00 = madd<T>(x, b0, c00); if (vectors > 1) c01 = madd<T>(x, b1, c01);
    if (rows > 1) { x = v128.load_splat<T>(a1, sizeof<T>() * 3); c10 = madd<T>(x, b0, c10); if (vectors > 1) c11 = madd<T>(x, b1, c11); }
    if (rows > 2) { x = v128.load_splat<T>(a2, sizeof<T>() * 3); c20 = madd<T>(x, b0, c20); if (vectors > 1) c21 = madd<T>(x, b1, c21); }
    if (rows > 3) { x = v128.load_splat<T>(a3, sizeof<T>() * 3); c30 = madd<T>(x, b0, c30); if (vectors > 1) c31 = madd<T>(x, b1, c31); }
    if (rows > 4) { x = v128.load_splat<T>(a4, sizeof<T>() * 3); c40 = madd<T>(x, b0, c40); if (vectors > 1) c41 = madd<T>(x, b1, c41); }
    if (rows > 5) { x = v128.load_splat<T>(a5, sizeof<T>() * 3); c50 = madd<T>(x, b0, c50); if (vectors > 1) c51 = madd<T>(x, b1, c51); }
    a0 += sizeof<T>() * 4;
    if (rows > 1) a1 += sizeof<T>() * 4;
    if (rows > 2) a2 += sizeof<T>() * 4;
    if (rows > 3) a3 += sizeof<T>() * 4;
    if (rows > 4) a4 += sizeof<T>() * 4;
    if (rows > 5) a5 += sizeof<T>() * 4;
    b += 64 * vectors;
  }
  for (; left > 0; left--) {
    b0 = v128.load(b);
    if (vectors > 1) b1 = v128.load(b, 16);
    x = v128.load_splat<T>(a0); c00 = madd<T>(x, b0, c00); if (vectors > 1) c01 = madd<T>(x, b1, c01);
    if (rows > 1) { x = v128.load_splat<T>(a1); c10 = madd<T>(x, b0, c10); if (vectors > 1) c11 = madd<T>(x, b1, c11); }
    if (rows > 2) { x = v128.load_splat<T>(a2); c20 = madd<T>(x, b0, c20); if (vectors > 1) c21 = madd<T>(x, b1, c21); }
    if (rows > 3) { x = v128.load_splat<T>(a3); c30 = madd<T>(x, b0, c30); if (vectors > 1) c31 = madd<T>(x, b1, c31); }
    if (rows > 4) { x = v128.load_splat<T>(a4); c40 = madd<T>(x, b0, c40); if (vectors > 1) c41 = madd<T>(x, b1, c41); }
    if (rows > 5) { x = v128.load_splat<T>(a5); c50 = madd<T>(x, b0, c50); if (vectors > 1) c51 = madd<T>(x, b1, c51); }
    a0 += sizeof<T>();
    if (rows > 1) a1 += sizeof<T>();
    if (rows > 2) a2 += sizeof<T>();
    if (rows > 3) a3 += sizeof<T>();
    if (rows > 4) a4 += sizeof<T>();
    if (rows > 5) a5 += sizeof<T>();
    b += 16 * vectors;
  }
  if (cols == vectors * (16 / sizeof<T>())) {
    const scale = v128.splat<T>(alpha), old = v128.splat<T>(beta), overwrite = beta == 0;
    storeRow<T>(vectors, c, c00, c01, scale, old, overwrite);
    if (rows > 1) storeRow<T>(vectors, c + 1 * ldc, c10, c11, scale, old, overwrite);
    if (rows > 2) storeRow<T>(vectors, c + 2 * ldc, c20, c21, scale, old, overwrite);
    if (rows > 3) storeRow<T>(vectors, c + 3 * ldc, c30, c31, scale, old, overwrite);
    if (rows > 4) storeRow<T>(vectors, c + 4 * ldc, c40, c41, scale, old, overwrite);
    if (rows > 5) storeRow<T>(vectors, c + 5 * ldc, c50, c51, scale, old, overwrite);
  } else {
    v128.store(spill, c00, 0); if (vectors > 1) v128.store(spill, c01, 16);
    if (rows > 1) { v128.store(spill, c10, 32); if (vectors > 1) v128.store(spill, c11, 48); }
    if (rows > 2) { v128.store(spill, c20, 64); if (vectors > 1) v128.store(spill, c21, 80); }
    if (rows > 3) { v128.store(spill, c30, 96); if (vectors > 1) v128.store(spill, c31, 112); }
    if (rows > 4) { v128.store(spill, c40, 128); if (vectors > 1) v128.store(spill, c41, 144); }
    if (rows > 5) { v128.store(spill, c50, 160); if (vectors > 1) v128.store(spill, c51, 176); }
    storeEdge<T>(rows, cols, spill, c, ldc, alpha, beta);
  }
}

// @ts-ignore: decorator
@inline
function storeRow<T>(vectors: u32, c: usize, c0: v128, c1: v128, alpha: v128, beta: v128, overwrite: bool): void {
  c0 = v128.mul<T>(alpha, c0);
  if (vectors > 1) c1 = v128.mul<T>(alpha, c1);
  if (!overwrite) {
    c0 = v128.add<T>(v128.mul<T>(beta, v128.load(c)), c0);
    if (vectors > 1) c1 = v128.add<T>(v128.mul<T>(beta, v128.load(c, 16)), c1);
  }
  v128.store(c, c0);
  if (vectors > 1) v128.store(c, c1, 16);
}

function storeEdge<T>(rows: u32, cols: u32, spill: usize, c: usize, ldc: usize, alpha: T, beta: T): void {
  for (let r: u32 = 0; r < rows; r++) {
    for (let j: u32 = 0; j < cols; j++) {
      const at = c + j * sizeof<T>();
      const sum = alpha * load<T>(spill + j * sizeof<T>());
      store<T>(at, beta == 0 ? sum : beta * load<T>(at) + sum);
    }
    c += ldc;
    spill += 32;
  }
}

function tile6x2<T>(k: u32, a: usize, lda: usize, b: usize, c: usize, ldc: usize, alpha: T, beta: T, cols: u32, spill: usize): void {
  tile<T>(6, 2, k, a, lda, b, c, ldc, alpha, beta, cols, spill);
}
function tile6x1<T>(k: u32, a: usize, lda: usize, b: usize, c: usize, ldc: usize, alpha: T, beta: T, cols: u32, spill: usize): void {
  tile<T>(6, 1, k, a, lda, b, c, ldc, alpha, beta, cols, spill);
}
function tile4x2<T>(k: u32, a: usize, lda: usize, b: usize, c: usize, ldc: usize, alpha: T, beta: T, cols: u32, spill: usize): void {
  tile<T>(4, 2, k, a, lda, b, c, ldc, alpha, beta, cols, spill);
}
function tile4x1<T>(k: u32, a: usize, lda: usize, b: usize, c: usize, ldc: usize, alpha: T, beta: T, cols: u32, spill: usize): void {
  tile<T>(4, 1, k, a, lda, b, c, ldc, alpha, beta, cols, spill);
}
function tile2x2<T>(k: u32, a: usize, lda: usize, b: usize, c: usize, ldc: usize, alpha: T, beta: T, cols: u32, spill: usize): void {
  tile<T>(2, 2, k, a, lda, b, c, ldc, alpha, beta, cols, spill);
}
function tile2x1<T>(k: u32, a: usize, lda: usize, b: usize, c: usize, ldc: usize, alpha: T, beta: T, cols: u32, spill: usize): void {
  tile<T>(2, 1, k, a, lda, b, c, ldc, alpha, beta, cols, spill);
}
function tile1x2<T>(k: u32, a: usize, lda: usize, b: usize, c: usize, ldc: usize, alpha: T, beta: T, cols: u32, spill: usize): void {
  tile<T>(1, 2, k, a, lda, b, c, ldc, alpha, beta, cols, spill);
}
function tile1x1<T>(k: u32, a: usize, lda: usize, b: usize, c: usize, ldc: usize, alpha: T, beta: T, cols: u32, spill: usize): void {
  tile<T>(1, 1, k, a, lda, b, c, ldc, alpha, beta, cols, spill);
}

/** One panel of `cols` <= 2 vectors of columns: all `rows` rows of c, tile after tile downwards. Strides are in bytes. */
export function panelProduct<T>(
  rows: u32, k: u32, a: usize, lda: usize, b: usize, c: usize, ldc: usize, alpha: T, beta: T, cols: u32, spill: usize,
): void {
  const isWide = cols > 16 / sizeof<T>();
  while (rows >= 6) {
    if (isWide) tile6x2<T>(k, a, lda, b, c, ldc, alpha, beta, cols, spill);
    else tile6x1<T>(k, a, lda, b, c, ldc, alpha, beta, cols, spill);
    a += 6 * lda;
    c += 6 * ldc;
    rows -= 6;
  }
  if (rows >= 4) {
    if (isWide) tile4x2<T>(k, a, lda, b, c, ldc, alpha, beta, cols, spill);
    else tile4x1<T>(k, a, lda, b, c, ldc, alpha, beta, cols, spill);
    a += 4 * lda;
    c += 4 * ldc;
    rows -= 4;
  }
  if (rows >= 2) {
    if (isWide) tile2x2<T>(k, a, lda, b, c, ldc, alpha, beta, cols, spill);
    else tile2x1<T>(k, a, lda, b, c, ldc, alpha, beta, cols, spill);
    a += 2 * lda;
    c += 2 * ldc;
    rows -= 2;
  }
  if (rows > 0) {
    if (isWide) tile1x2<T>(k, a, lda, b, c, ldc, alpha, beta, cols, spill);
    else tile1x1<T>(k, a, lda, b, c, ldc, alpha, beta, cols, spill);
  }
}
