/**
 * One row with its support S, ready to be priced and changed. With b the target, N the weights that are not kept, w = H[S, S]^-1 b[S] the re-fitted weights and
 *   A = H[S, S]^-1,  T = A H[S, N],  C = H[N, N] - H[N, S] T  (the principal pivot transform of H on S),
 *   e = b[N] - H[N, S] w  (the slope at pruned weights):
 *   taking i out costs          w_i^2 / (2 A_ii)
 *   letting j in gains          e_j^2 / (2 C_jj)
 *   i out and j in changes Q by w_i^2 / (2 A_ii) - (e_j + T_ij w_i / A_ii)^2 / (2 (C_jj + T_ij^2 / A_ii)),
 * each with all kept weights re-fitted. Prices need A, T and the diagonal of C; a swap needs one row of C besides, made when it is wanted. Kept and pruned weights stand in slots,
 * and a swap exchanges what is in two of them: it is a sweep (Goodnight 1979) that takes i out and one that lets j in, in one pass over T and A.
 */
import { type Kernels, type Mask, type Mat, matrix, type Vec } from "@secateur/core";

/** The tableau of a row of k kept and m pruned weights. */
export interface RowTableau {
  readonly H: Mat;
  /** 1 = kept [cols]. */
  readonly mask: Mask;
  /** Columns of kept weights [k]. */
  readonly S: Uint32Array;
  /** Columns of pruned weights [m]. */
  readonly N: Uint32Array;
  /** [k, k], symmetric. */
  readonly A: Vec;
  /** [k, m]. */
  readonly T: Vec;
  /** The diagonal of C [m]. */
  readonly c: Float64Array;
  /** Kept weights, re-fitted [k]. */
  readonly w: Float64Array;
  /** Slopes at pruned weights [m]. */
  readonly e: Float64Array;
}

/** Memory for tableaus of one width, used again: a tableau is good until the next is opened. */
export interface TableauWorkspace {
  open(H: Mat, b: Vec, mask: Mask): RowTableau;
  release(): void;
}

/** Memory for tableaus of `cols` columns: 26 cols^2 bytes. */
export function tableauWorkspace(cols: number, kernels: Kernels): TableauWorkspace {
  const take = (length: number): Vec => kernels.alloc(length, "f64");
  const square = cols * cols;
  // k kept and m pruned weights: k m is a quarter of the square at most.
  const [factor, inverse, own, cross] = [take(square), take(square), take(square), take(Math.ceil(square / 4))];
  return {
    /** k^2 cols multiply-adds in products, k the number of kept weights. */
    open(H, b, mask) {
      const S = placesOf(mask, 1);
      const N = placesOf(mask, 0);
      const [k, m] = [S.length, N.length];
      const L = matrix(k, k, factor.subarray(0, k * k));
      gather(H, S, S, L.data);
      kernels.cholesky(L);
      const I = matrix(k, k, inverse.subarray(0, k * k));
      I.data.fill(0);
      for (let s = 0; s < k; s++) I.data[s * k + s] = 1;
      kernels.triangularSolve({ l: L, b: I });
      const A = matrix(k, k, own.subarray(0, k * k));
      kernels.gram({ a: I, transpose: true, out: A });
      // L^-1 H[S, N], whose squares C's diagonal lacks, becomes T.
      const T = matrix(k, m, cross.subarray(0, k * m));
      gather(H, S, N, T.data);
      kernels.triangularSolve({ l: L, b: T });
      const c = Float64Array.from(N, (j) => H.data[j * (cols + 1)]!);
      for (let s = 0, at = 0; s < k; s++) for (let t = 0; t < m; t++, at++) c[t]! -= T.data[at]! ** 2;
      kernels.triangularSolve({ l: L, b: T, transpose: true });
      const w = Float64Array.from(S, (j) => b[j]!);
      kernels.triangularSolve({ l: L, b: matrix(k, 1, w) });
      kernels.triangularSolve({ l: L, b: matrix(k, 1, w), transpose: true });
      const e = Float64Array.from(N, (j) => b[j]! - S.reduce((sum, i, s) => sum + H.data[j * cols + i]! * w[s]!, 0));
      return { H, mask: mask.slice(), S, N, A: A.data, T: T.data, c, w, e };
    },
    release() {
      for (const vector of [factor, inverse, own, cross]) kernels.free(vector);
    },
  };
}

function gather(H: Mat, I: Uint32Array, J: Uint32Array, out: Vec): void {
  let place = 0;
  for (let s = 0; s < I.length; s++) {
    const row = I[s]! * H.cols;
    for (let t = 0; t < J.length; t++) out[place++] = H.data[row + J[t]!]!;
  }
}

/** Row `t` of C [m]: k m multiply-adds. */
export function rowOfC({ H, S, N, T }: Pick<RowTableau, "H" | "S" | "N" | "T">, t: number): Float64Array {
  const m = N.length;
  const start = N[t]! * H.cols;
  const out = Float64Array.from(N, (j) => H.data[start + j]!);
  for (let s = 0; s < S.length; s++) {
    const share = H.data[start + S[s]!]!;
    const row = s * m;
    for (let n = 0; n < m; n++) out[n]! -= share * T[row + n]!;
  }
  return out;
}

/** What slots s and t exchange: i out of the support, j into it. 3 k m + 2 k^2 multiply-adds; rounding grows with the number of swaps. */
export function swap(tableau: RowTableau, s: number, t: number): void {
  const { mask, S, N, A, T, c, w, e } = tableau;
  const [k, m] = [S.length, N.length];
  const a = A[s * k + s]!;
  const alpha = A.slice(s * k, (s + 1) * k);
  const tau = T.slice(s * m, (s + 1) * m);
  const across = tau[t]!;
  // Once i is out: C's row of j, with i in j's slot, and its diagonal at j.
  const g = rowOfC(tableau, t);
  for (let n = 0; n < m; n++) g[n]! += (across * tau[n]!) / a;
  g[t] = across / a;
  const d = c[t]! + across * g[t]!;
  const [value, slope] = [w[s]! / a, e[t]! + (across * w[s]!) / a];
  const q = new Float64Array(k);
  for (let x = 0; x < k; x++) {
    if (x === s) continue;
    const p = alpha[x]! / a;
    const share = (T[x * m + t]! - p * across) / d;
    q[x] = share;
    const row = x * m;
    for (let n = 0; n < m; n++) T[row + n]! -= p * tau[n]! + share * g[n]!;
    T[row + t] = -p - share * g[t]!;
    w[x]! -= p * w[s]! + share * slope;
  }
  for (let x = 0; x < k; x++) {
    if (x === s) continue;
    const [p, share] = [alpha[x]! / a, q[x]! * d];
    const row = x * k;
    for (let y = 0; y < k; y++) A[row + y]! += share * q[y]! - p * alpha[y]!;
    A[row + s] = A[s * k + x] = -q[x]!;
  }
  A[s * k + s] = 1 / d;
  for (let n = 0; n < m; n++) {
    T[s * m + n] = g[n]! / d;
    if (n === t) continue;
    c[n]! += (tau[n]! * tau[n]!) / a - (g[n]! * g[n]!) / d;
    e[n]! += tau[n]! * value - (g[n]! * slope) / d;
  }
  c[t] = 1 / a - (g[t]! * g[t]!) / d;
  e[t] = value - (g[t]! * slope) / d;
  w[s] = slope / d;
  const [i, j] = [S[s]!, N[t]!];
  [S[s], N[t]] = [j, i];
  [mask[i], mask[j]] = [0, 1];
}

/** Places of zeros or ones of a mask, ascending. */
function placesOf(mask: Mask, bit: 0 | 1): Uint32Array {
  return Uint32Array.from(mask.keys()).filter((j) => mask[j] === bit);
}
