// out = alpha op(A) B + beta out, where B is packed (pack.ts) and A is read in place, or transposed block by block.
//
// Loops as in Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008), section 4: blocks of
// kc of the sum, blocks of MC rows of A that stay in the second-level cache, panels of B in the first. A untransposed is
// not packed: its rows are contiguous along the sum, and copying them cost more than it gained.
import { lanes } from "./simd";
import { packPanels, paddedColumns } from "./pack";
import { panelProduct, TILE_BYTES, TILE_ROWS, TILE_VECTORS } from "./tile";
import { transposeInto } from "./transpose";

/** Rows of A in one cache block. Scratch holds the transposed block: MC x (256 + 16) elements. */
const MC: u32 = 120;
/** Keeps rows of the transposed block from falling on the same cache sets. */
const SKEW: u32 = 16;

/**
 * A unit is one block of `rowsPerUnit` x `colsPerUnit` of out [m, n] (multiples of the tile; all columns of a row of
 * units first). Tiles with every column above row + `diagonal` are left out (the strict upper triangle of a symmetric product);
 * 2^30 computes all. Leading dimensions in elements.
 */
// @ts-ignore: decorator
@inline
export function gemmUnits<T>(
  begin: u32, end: u32, scratch: usize,
  a: usize, lda: u32, isTransposed: bool, packed: usize, out: usize, ldo: u32,
  m: u32, n: u32, k: u32, kc: u32, rowsPerUnit: u32, colsPerUnit: u32, diagonal: i32, alpha: T, beta: T,
): void {
  const unitsAcross = (n + colsPerUnit - 1) / colsPerUnit;
  const last = (m + rowsPerUnit - 1) / rowsPerUnit * unitsAcross - 1;
  for (let unit = begin; unit < end; unit++) {
    // Of a triangle the longest rows first, so that threads end together.
    const place = diagonal == 1 << 30 ? unit : last - unit;
    const i = place / unitsAcross * rowsPerUnit;
    const j = place % unitsAcross * colsPerUnit;
    const iEnd = min(i + rowsPerUnit, m);
    const jEnd = min(j + colsPerUnit, n);
    if (<i32>j > <i32>(iEnd - 1) + diagonal) continue;
    let p: u32 = 0;
    do {
      const kb = min(kc, k - p);
      const block = packed + <usize>p * paddedColumns<T>(n) * sizeof<T>();
      for (let ic = i; ic < iEnd; ic += MC) {
        const mb = min(MC, iEnd - ic);
        let rows = a + (<usize>ic * lda + p) * sizeof<T>();
        let rowStride = <usize>lda * sizeof<T>();
        if (isTransposed) {
          const source = a + (<usize>p * lda + ic) * sizeof<T>();
          rows = scratch + 256;
          rowStride = (kc + SKEW) * sizeof<T>();
          transposeInto<T>(kb, mb, source, <usize>lda * sizeof<T>(), rows, rowStride);
        }
        blockProduct<T>(
          ic, mb, j, jEnd, kb, rows, rowStride, block, out, <usize>ldo * sizeof<T>(), diagonal, alpha,
          p == 0 ? beta : <T>1, scratch,
        );
      }
      p += kc;
    } while (p < k);
  }
}

function blockProduct<T>(
  i: u32, mb: u32, j: u32, jEnd: u32, kb: u32, rows: usize, rowStride: usize, block: usize, out: usize, ldo: usize,
  diagonal: i32, alpha: T, beta: T, spill: usize,
): void {
  const NR = TILE_VECTORS * lanes<T>();
  for (; j < jEnd; j += NR) {
    // Whole tiles above the diagonal are skipped.
    let skip: u32 = 0;
    while (skip < mb && <i32>j > <i32>(i + min(skip + TILE_ROWS, mb) - 1) + diagonal) skip += TILE_ROWS;
    if (skip >= mb) continue;
    panelProduct<T>(
      mb - skip, kb, rows + skip * rowStride, rowStride, block + <usize>j * kb * sizeof<T>(),
      out + <usize>(i + skip) * ldo + j * sizeof<T>(), ldo, alpha, beta, min(NR, jEnd - j), spill,
    );
  }
}

/** Products of matrices that lie one after the other; a unit is one of them, whose right-hand operand is packed into a thread's own `space`. */
export function gemmEach<T>(begin: u32, end: u32, scratch: usize, space: usize, a: usize, b: usize, out: usize, m: u32, n: u32, k: u32, kc: u32): void {
  const columns = 16 * lanes<T>();
  const packUnits = (k + kc - 1) / kc * ((n + columns - 1) / columns);
  for (let unit = begin; unit < end; unit++) {
    packPanels<T>(0, packUnits, b + <usize>unit * k * n * sizeof<T>(), n, false, k, n, kc, space);
    gemmUnits<T>(
      0, 1, scratch, a + <usize>unit * m * k * sizeof<T>(), k, false, space, out + <usize>unit * m * n * sizeof<T>(), n,
      m, n, k, kc, m, n, 1 << 30, <T>1, <T>0,
    );
  }
}

/** Copies the strict lower triangle of out [n, n] to the upper one. A unit is one band of 32 rows of the upper triangle. */
// @ts-ignore: decorator
@inline
export function mirrorUnits<T>(begin: u32, end: u32, out: usize, n: u32): void {
  const B: u32 = 32;
  const stride = <usize>n * sizeof<T>();
  for (let unit = begin; unit < end; unit++) {
    const i = unit * B;
    const ib = min(B, n - i);
    for (let r: u32 = 0; r < ib; r++) {
      for (let c = r + 1; c < ib; c++) {
        store<T>(out + (i + r) * stride + (i + c) * sizeof<T>(), load<T>(out + (i + c) * stride + (i + r) * sizeof<T>()));
      }
    }
    for (let j = i + B; j < n; j += B) {
      const from = out + j * stride + i * sizeof<T>();
      transposeInto<T>(min(B, n - j), ib, from, stride, out + i * stride + j * sizeof<T>(), stride);
    }
  }
}
