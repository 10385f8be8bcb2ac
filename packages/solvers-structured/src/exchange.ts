/**
 * What groups cost, from a sweep tableau: with g a group of free columns, n one at 0, W = R[:,g], E = R[:,n], T = A H[S,N] and C the Schur
 * complement P[N,N], over all rows
 *   taking g out   raises Q by 1/2 tr W A_gg^-1 W',
 *   letting n in   lowers Q by 1/2 tr E C_nn^-1 E',
 *   both           lowers Q by 1/2 tr E~ C~^-1 E~' less the first, E~ = E + W A_gg^-1 T_gn, C~ = C_nn + T_gn'A_gg^-1 T_gn,
 * each exactly, with everything else re-fitted (Meng et al. 2024, OSSCAR, section 3; the last is the local search's move, which the published code
 * approximates by the first two of several groups at once).
 */
import type { Mat } from "@secateur/core";
import type { Sweeps } from "./sweep.ts";

/** A small lower triangular factor, or a positive definite matrix, row-major [m, m]. */
type Small = Float64Array;

/** A free group with what its exchanges need. */
export interface Leaving {
  readonly columns: Uint32Array;
  /** How far Q rises where it goes. */
  readonly cost: number;
  /** L L' = A_gg [m, m]. */
  readonly L: Small;
  /** A_gg^-1 W' [m, rows]. */
  readonly solved: Float64Array;
}

/** What taking a free group out costs. m^3 / 6 + rows m^2 multiply-adds. */
export function leaving({ P, R }: Sweeps, columns: Uint32Array): Leaving {
  const m = columns.length;
  const L = block(P, columns, columns);
  for (let i = 0; i < L.length; i++) L[i] = -L[i]!;
  const isLost = factor(L, m);
  const W = columnsOf(R, columns);
  const solved = W.slice();
  solveLower(L, m, solved);
  // Where A_gg is singular at working precision its inverse is beyond all bounds.
  const cost = isLost ? Number.POSITIVE_INFINITY : 0.5 * squares(solved);
  solveUpper(L, m, solved);
  return { columns, cost, L, solved };
}

/** How far Q falls where a group at 0 is let in, everything else re-fitted. */
export function gainOf({ P, R }: Sweeps, columns: Uint32Array): number {
  const C = block(P, columns, columns);
  return halfNorm(C, columnsOf(R, columns), columns.length);
}

/** How far Q falls where a free group goes for one at 0; below 0 where it rises. */
export function exchangeGain({ P, R }: Sweeps, out: Leaving, into: Uint32Array): number {
  const m = out.columns.length;
  const n = into.length;
  const T = block(P, out.columns, into);
  const C = block(P, into, into);
  const E = columnsOf(R, into);
  const rows = R.rows;
  // E + T'(A_gg^-1 W'), [n, rows] as columnsOf has it.
  for (let k = 0; k < m; k++) {
    for (let j = 0; j < n; j++) {
      const share = T[k * n + j]!;
      if (share === 0) continue;
      for (let r = 0; r < rows; r++) E[j * rows + r] = E[j * rows + r]! + share * out.solved[k * rows + r]!;
    }
  }
  const Y = T;
  solveLower(out.L, m, Y);
  for (let k = 0; k < m; k++) {
    for (let i = 0; i < n; i++) {
      const share = Y[k * n + i]!;
      for (let j = 0; j < n; j++) C[i * n + j] = C[i * n + j]! + share * Y[k * n + j]!;
    }
  }
  return halfNorm(C, E, n) - out.cost;
}

/** 1/2 tr E C^-1 E' for E [n, rows]; both are overwritten. */
function halfNorm(C: Small, E: Float64Array, n: number): number {
  factor(C, n);
  solveLower(C, n, E);
  return 0.5 * squares(E);
}

/** M[I, J] [m, n]. */
function block(M: Mat, I: Uint32Array, J: Uint32Array): Small {
  const out = new Float64Array(I.length * J.length);
  let at = 0;
  for (const i of I) for (const j of J) out[at++] = M.data[i * M.cols + j]!;
  return out;
}

/** M[:, columns]' [columns, rows]. */
function columnsOf({ rows, cols, data }: Mat, columns: Uint32Array): Float64Array {
  const out = new Float64Array(columns.length * rows);
  let at = 0;
  for (const j of columns) for (let r = 0; r < rows; r++) out[at++] = data[r * cols + j]!;
  return out;
}

/** Cholesky in place, lower triangle. A direction whose pivot is lost to rounding adds nothing to what is solved. @returns whether there is one */
function factor(M: Small, m: number): boolean {
  let isLost = false;
  for (let j = 0; j < m; j++) {
    const whole = M[j * m + j]!;
    let pivot = whole;
    for (let k = 0; k < j; k++) pivot -= M[j * m + k]! ** 2;
    const isTold = pivot > m * Number.EPSILON * whole;
    isLost ||= !isTold;
    const own = isTold ? Math.sqrt(pivot) : Number.POSITIVE_INFINITY;
    M[j * m + j] = own;
    for (let i = j + 1; i < m; i++) {
      let sum = M[i * m + j]!;
      for (let k = 0; k < j; k++) sum -= M[i * m + k]! * M[j * m + k]!;
      M[i * m + j] = sum / own;
    }
  }
  return isLost;
}

/** x = L^-1 x for x [m, count], in place. */
function solveLower(L: Small, m: number, x: Float64Array): void {
  const count = x.length / m;
  for (let i = 0; i < m; i++) {
    for (let k = 0; k < i; k++) {
      const share = L[i * m + k]!;
      if (share === 0) continue;
      for (let r = 0; r < count; r++) x[i * count + r] = x[i * count + r]! - share * x[k * count + r]!;
    }
    const own = L[i * m + i]!;
    for (let r = 0; r < count; r++) x[i * count + r] = x[i * count + r]! / own;
  }
}

/** x = L'^-1 x for x [m, count], in place. */
function solveUpper(L: Small, m: number, x: Float64Array): void {
  const count = x.length / m;
  for (let i = m - 1; i >= 0; i--) {
    for (let k = i + 1; k < m; k++) {
      const share = L[k * m + i]!;
      if (share === 0) continue;
      for (let r = 0; r < count; r++) x[i * count + r] = x[i * count + r]! - share * x[k * count + r]!;
    }
    const own = L[i * m + i]!;
    for (let r = 0; r < count; r++) x[i * count + r] = x[i * count + r]! / own;
  }
}

function squares(x: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! ** 2;
  return sum;
}
