/**
 * The sweep operator (Goodnight 1979) for rows of weights that share H: with S the columns whose weights are free and N those at 0,
 *   P[S,S] = -A,  P[S,N] = A H[S,N],  P[N,N] = H[N,N] - H[N,S] A H[S,N],   A = H[S,S]^-1,
 *   R[:,S] = B[:,S] A = the best weights on S,  R[:,N] = B[:,N] - B[:,S] A H[S,N] = minus the slope of Q at 0,
 * for Q = sum over rows of 1/2 w'H w - b'w. One column in or out changes P by a matrix of rank one, a group of m columns by one of rank m.
 */
import type { Mat } from "@secateur/core";

/** P [c, c] and R [rows, c], f64. */
export interface Sweeps {
  readonly P: Mat;
  readonly R: Mat;
}

/** Frees columns that were at 0, in place. c^2 + rows c multiply-adds a column. */
export function sweepIn(sweeps: Sweeps, columns: Iterable<number>): void {
  for (const p of columns) pivot(sweeps, p, 1);
}

/** Puts free columns at 0, in place: the inverse of {@link sweepIn}. */
export function sweepOut(sweeps: Sweeps, columns: Iterable<number>): void {
  for (const p of columns) pivot(sweeps, p, -1);
}

function pivot({ P, R }: Sweeps, p: number, sign: 1 | -1): void {
  const c = P.cols;
  const d = P.data[p * (c + 1)]!;
  // P is symmetric: its column p is its row p, which no step before the last changes.
  const row = Float64Array.from(P.data.subarray(p * c, (p + 1) * c));
  row[p] = 0;
  subtract(P, { p, d, row, sign, skipped: p });
  subtract(R, { p, d, row, sign, skipped: -1 });
  for (let j = 0; j < c; j++) if (j !== p) P.data[p * c + j] = (sign * row[j]!) / d;
  P.data[p * (c + 1)] = -1 / d;
}

/** M_ij -= M_ip row_j / d and M_ip = sign M_ip / d, for every row but the skipped one. */
function subtract(
  { rows, cols, data }: Mat,
  spec: { p: number; d: number; row: Float64Array; sign: 1 | -1; skipped: number },
): void {
  const { p, d, row, sign, skipped } = spec;
  for (let i = 0; i < rows; i++) {
    if (i === skipped) continue;
    const share = data[i * cols + p]! / d;
    if (share !== 0) for (let j = 0, at = i * cols; j < cols; j++, at++) data[at] = data[at]! - share * row[j]!;
    data[i * cols + p] = sign * share;
  }
}
