// Substitution on packed panels: L X = B or L'X = B for panels of two vectors of right-hand sides.
//
// Four unknowns advance together, so that their sums hide each other's latency; each is one running sum over the known
// unknowns in a fixed order, then one division, wherever block borders fall.
import { paddedColumns } from "./pack";
import { lanes, nmadd } from "./simd";
import { panelProduct, TILE_VECTORS } from "./tile";
import { transposeInto } from "./transpose";

/** Keeps rows of a transposed block from falling on the same cache sets. */
const SKEW: u32 = 16;
/** Rows of the transposed block of L held in scratch. */
const MC: u32 = 120;

/**
 * x_j = (b_j - sum_{i<j} L[j, i] x_i) / L[j, j] for j ascending, or with `isTransposed` x_j = (b_j - sum_{i>j} L[i, j] x_i)
 * / L[j, j] for j descending. x has one row of `vectors` vectors an unknown. `ldl` in bytes.
 */
// @ts-ignore: decorator
@inline
export function substitute<T>(vectors: u32, isTransposed: bool, l: usize, ldl: usize, n: u32, x: usize): void {
  // Down the diagonal for L; up it for L', where (row, column) of L swap roles.
  const S = sizeof<T>();
  const width = 16 * vectors;
  const alongUnknowns: isize = isTransposed ? -<isize>S : <isize>ldl; // from L's coefficient of x_j to that of x_j+1
  const alongSum: isize = isTransposed ? -<isize>ldl : <isize>S; // from the coefficient of x_i to that of x_i+1
  const step: isize = isTransposed ? -<isize>width : <isize>width;
  const first = isTransposed ? x + (n - 1) * width : x;
  let row = isTransposed ? l + (n - 1) * ldl + (n - 1) * S : l;
  let xj = first;
  let j: u32 = 0;
  for (; j + 4 <= n; j += 4) {
    const row1 = row + alongUnknowns, row2 = row1 + alongUnknowns, row3 = row2 + alongUnknowns;
    const x1 = xj + step, x2 = x1 + step, x3 = x2 + step;
    let c00 = v128.load(xj), c10 = v128.load(x1), c20 = v128.load(x2), c30 = v128.load(x3);
    let c01 = c00, c11 = c10, c21 = c20, c31 = c30;
    if (vectors > 1) {
      c01 = v128.load(xj, 16);
      c11 = v128.load(x1, 16);
      c21 = v128.load(x2, 16);
      c31 = v128.load(x3, 16);
    }
    let xi = first;
    let along: isize = 0;
    for (let i: u32 = 0; i < j; i++) {
      const v0 = v128.load(xi);
      let v1 = v0;
      if (vectors > 1) v1 = v128.load(xi, 16);
      const l0 = v128.load_splat<T>(row + along);
      c00 = nmadd<T>(l0, v0, c00);
      if (vectors > 1) c01 = nmadd<T>(l0, v1, c01);
      const l1 = v128.load_splat<T>(row1 + along);
      c10 = nmadd<T>(l1, v0, c10);
      if (vectors > 1) c11 = nmadd<T>(l1, v1, c11);
      const l2 = v128.load_splat<T>(row2 + along);
      c20 = nmadd<T>(l2, v0, c20);
      if (vectors > 1) c21 = nmadd<T>(l2, v1, c21);
      const l3 = v128.load_splat<T>(row3 + along);
      c30 = nmadd<T>(l3, v0, c30);
      if (vectors > 1) c31 = nmadd<T>(l3, v1, c31);
      xi += step;
      along += alongSum;
    }
    let d = v128.load_splat<T>(row + along);
    c00 = v128.div<T>(c00, d);
    if (vectors > 1) c01 = v128.div<T>(c01, d);
    let f = v128.load_splat<T>(row1 + along);
    c10 = nmadd<T>(f, c00, c10);
    if (vectors > 1) c11 = nmadd<T>(f, c01, c11);
    f = v128.load_splat<T>(row2 + along);
    c20 = nmadd<T>(f, c00, c20);
    if (vectors > 1) c21 = nmadd<T>(f, c01, c21);
    f = v128.load_splat<T>(row3 + along);
    c30 = nmadd<T>(f, c00, c30);
    if (vectors > 1) c31 = nmadd<T>(f, c01, c31);
    along += alongSum;
    d = v128.load_splat<T>(row1 + along);
    c10 = v128.div<T>(c10, d);
    if (vectors > 1) c11 = v128.div<T>(c11, d);
    f = v128.load_splat<T>(row2 + along);
    c20 = nmadd<T>(f, c10, c20);
    if (vectors > 1) c21 = nmadd<T>(f, c11, c21);
    f = v128.load_splat<T>(row3 + along);
    c30 = nmadd<T>(f, c10, c30);
    if (vectors > 1) c31 = nmadd<T>(f, c11, c31);
    along += alongSum;
    d = v128.load_splat<T>(row2 + along);
    c20 = v128.div<T>(c20, d);
    if (vectors > 1) c21 = v128.div<T>(c21, d);
    f = v128.load_splat<T>(row3 + along);
    c30 = nmadd<T>(f, c20, c30);
    if (vectors > 1) c31 = nmadd<T>(f, c21, c31);
    along += alongSum;
    d = v128.load_splat<T>(row3 + along);
    c30 = v128.div<T>(c30, d);
    if (vectors > 1) c31 = v128.div<T>(c31, d);
    v128.store(xj, c00);
    v128.store(x1, c10);
    v128.store(x2, c20);
    v128.store(x3, c30);
    if (vectors > 1) {
      v128.store(xj, c01, 16);
      v128.store(x1, c11, 16);
      v128.store(x2, c21, 16);
      v128.store(x3, c31, 16);
    }
    row = row3 + alongUnknowns;
    xj = x3 + step;
  }
  for (; j < n; j++) {
    let c0 = v128.load(xj), c1 = c0;
    if (vectors > 1) c1 = v128.load(xj, 16);
    let xi = first;
    let along: isize = 0;
    for (let i: u32 = 0; i < j; i++) {
      const f = v128.load_splat<T>(row + along);
      c0 = nmadd<T>(f, v128.load(xi), c0);
      if (vectors > 1) c1 = nmadd<T>(f, v128.load(xi, 16), c1);
      xi += step;
      along += alongSum;
    }
    const d = v128.load_splat<T>(row + along);
    v128.store(xj, v128.div<T>(c0, d));
    if (vectors > 1) v128.store(xj, v128.div<T>(c1, d), 16);
    row += alongUnknowns;
    xj += step;
  }
}

export function forward2<T>(l: usize, ldl: usize, n: u32, x: usize): void {
  substitute<T>(2, false, l, ldl, n, x);
}
export function forward1<T>(l: usize, ldl: usize, n: u32, x: usize): void {
  substitute<T>(1, false, l, ldl, n, x);
}
export function backward2<T>(l: usize, ldl: usize, n: u32, x: usize): void {
  substitute<T>(2, true, l, ldl, n, x);
}
export function backward1<T>(l: usize, ldl: usize, n: u32, x: usize): void {
  substitute<T>(1, true, l, ldl, n, x);
}

/** Solves with one diagonal block for every panel of x [n, m] packed whole. Block rows start at `at`; a unit is one panel. */
// @ts-ignore: decorator
@inline
export function solveBlock<T>(
  begin: u32, end: u32, l: usize, ldl: u32, nb: u32, isTransposed: bool, packed: usize, n: u32, m: u32, at: u32,
): void {
  const V = lanes<T>(), NR = TILE_VECTORS * V;
  const stride = <usize>ldl * sizeof<T>();
  for (let unit = begin; unit < end; unit++) {
    const j = unit * NR;
    const isWide = m - j > V;
    const x = packed + <usize>j * n * sizeof<T>() + <usize>at * (isWide ? 32 : 16);
    if (isTransposed) {
      if (isWide) backward2<T>(l, stride, nb, x);
      else backward1<T>(l, stride, nb, x);
    } else {
      if (isWide) forward2<T>(l, stride, nb, x);
      else forward1<T>(l, stride, nb, x);
    }
  }
}

/**
 * Takes a solved block's part out of `count` rows of x from row `to`: x[to + r, :] -= L[r, :] x[at : at + nb, :], where l points at
 * [count, nb] coefficients, or [nb, count] with `isTransposed`. A unit is one panel.
 */
// @ts-ignore: decorator
@inline
export function eliminateBlock<T>(
  begin: u32, end: u32, scratch: usize, l: usize, ldl: u32, nb: u32, isTransposed: bool,
  packed: usize, n: u32, m: u32, at: u32, to: u32, count: u32,
): void {
  for (let r: u32 = 0; r < count; r += MC) {
    eliminatePart<T>(begin, end, scratch, l, ldl, nb, isTransposed, packed, n, m, at, to, count, r);
  }
}

/** The same where there are too few panels to share. A unit is one block of rows. */
// @ts-ignore: decorator
@inline
export function eliminateRows<T>(
  begin: u32, end: u32, scratch: usize, l: usize, ldl: u32, nb: u32, isTransposed: bool,
  packed: usize, n: u32, m: u32, at: u32, to: u32, count: u32,
): void {
  const NR = TILE_VECTORS * lanes<T>();
  const panels = (m + NR - 1) / NR;
  for (let unit = begin; unit < end; unit++) {
    eliminatePart<T>(0, panels, scratch, l, ldl, nb, isTransposed, packed, n, m, at, to, count, unit * MC);
  }
}

/** Rows r to r + MC of panels begin to end. */
function eliminatePart<T>(
  begin: u32, end: u32, scratch: usize, l: usize, ldl: u32, nb: u32, isTransposed: bool,
  packed: usize, n: u32, m: u32, at: u32, to: u32, count: u32, r: u32,
): void {
  const V = lanes<T>(), NR = TILE_VECTORS * V;
  const stride = <usize>ldl * sizeof<T>();
  const rows = min(MC, count - r);
  let a = l + r * stride, aStride = stride;
  if (isTransposed) {
    a = scratch + 256;
    aStride = (nb + SKEW) * sizeof<T>();
    transposeInto<T>(nb, rows, l + r * sizeof<T>(), stride, a, aStride);
  }
  for (let unit = begin; unit < end; unit++) {
    const j = unit * NR;
    const cols = m - j > V ? NR : V;
    const panel = packed + <usize>j * n * sizeof<T>();
    const width = cols * sizeof<T>();
    panelProduct<T>(rows, nb, a, aStride, panel + at * width, panel + (to + r) * width, width, -1, 1, cols, scratch);
  }
}
