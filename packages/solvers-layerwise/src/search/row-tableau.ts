/**
 * One row with its support S, ready to be priced and changed. With b the target, w = H[S, S]^-1 b[S] the re-fitted weights,
 *   A = H[S, S]^-1,  T = A H[S, N],  C = H[N, N] - H[N, S] T  (the principal pivot transform of H on S, N the weights not kept),
 *   e = b[N] - H[N, S] w  (the slope at pruned weights):
 *   taking i out costs          w_i^2 / (2 A_ii)
 *   letting j in gains          e_j^2 / (2 C_jj)
 *   i out and j in changes Q by w_i^2 / (2 A_ii) - (e_j + T_ij w_i / A_ii)^2 / (2 (C_jj + T_ij^2 / A_ii)),
 * each with all kept weights re-fitted. A move pivots on one entry, cols^2 multiply-adds.
 */
import { type Kernels, type Mask, type Mat, matrix, type Vec } from "@secateur/core";

/** The tableau of a row. */
export interface RowTableau {
  readonly cols: number;
  /** 1 = kept [cols]. */
  readonly mask: Mask;
  /** [cols, cols], symmetric: -A in [S, S], T in [S, N], C in [N, N]. */
  readonly M: Float64Array;
  /** w at kept weights, e at pruned ones [cols]. */
  readonly v: Float64Array;
}

/** Memory for tableaus of one width, used again. */
export interface TableauWorkspace {
  open(H: Mat, b: Vec, mask: Mask): RowTableau;
  release(): void;
}

/** Scratch for tableaus of `cols` columns: 40 cols^2 bytes. */
export function tableauWorkspace(cols: number, kernels: Kernels): TableauWorkspace {
  const take = (): Vec => kernels.alloc(cols * cols, "f64");
  const [factor, right, schur] = [take(), take(), take()];
  const M = new Float64Array(cols * cols);
  return {
    /** k^2 cols multiply-adds in products, k the number of kept weights. */
    open(H, b, mask) {
      const S = supportOf(mask);
      const N = supportOf(mask.map((bit) => 1 - bit));
      const [k, m] = [S.length, N.length];
      const L = matrix(k, k, factor.subarray(0, k * k));
      gather(H, S, S, L.data);
      kernels.cholesky(L);
      // X = L^-1 [I, H[S, N], b[S]]: A, T, C, w and e are products of its parts.
      const inverse = matrix(k, k, right.subarray(0, k * k));
      inverse.data.fill(0);
      for (let s = 0; s < k; s++) inverse.data[s * k + s] = 1;
      kernels.triangularSolve({ l: L, b: inverse });
      const A = matrix(k, k, schur.subarray(0, k * k));
      kernels.gram({ a: inverse, transpose: true, out: A });
      scatter(A.data, S, S, M, { cols, sign: -1 });
      const v = new Float64Array(cols);
      const cross = matrix(k, m, right.subarray(0, k * m));
      gather(H, S, N, cross.data);
      kernels.triangularSolve({ l: L, b: cross });
      const C = matrix(m, m, schur.subarray(0, m * m));
      gather(H, N, N, C.data);
      kernels.gram({ a: cross, transpose: true, out: C, alpha: -1, beta: 1 });
      scatter(C.data, N, N, M, { cols, sign: 1 });
      kernels.triangularSolve({ l: L, b: cross, transpose: true });
      scatter(cross.data, S, N, M, { cols, sign: 1 });
      for (let s = 0; s < k; s++) for (let t = 0; t < m; t++) M[N[t]! * cols + S[s]!] = cross.data[s * m + t]!;
      const w = matrix(
        k,
        1,
        Float64Array.from(S, (j) => b[j]!),
      );
      kernels.triangularSolve({ l: L, b: w });
      kernels.triangularSolve({ l: L, b: w, transpose: true });
      for (let s = 0; s < k; s++) v[S[s]!] = w.data[s]!;
      for (let t = 0; t < m; t++) {
        let sum = b[N[t]!]!;
        for (let s = 0; s < k; s++) sum -= H.data[N[t]! * cols + S[s]!]! * w.data[s]!;
        v[N[t]!] = sum;
      }
      return { cols, mask: mask.slice(), M, v };
    },
    release() {
      for (const vector of [factor, right, schur]) kernels.free(vector);
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

function scatter(
  from: Vec,
  I: Uint32Array,
  J: Uint32Array,
  M: Float64Array,
  { cols, sign }: { cols: number; sign: number },
): void {
  let place = 0;
  for (let s = 0; s < I.length; s++) {
    const row = I[s]! * cols;
    for (let t = 0; t < J.length; t++) M[row + J[t]!] = sign * from[place++]!;
  }
}

/** What taking kept weight i out costs, all others re-fitted. */
export function removalCost({ M, v, cols }: RowTableau, i: number): number {
  return (0.5 * v[i]! * v[i]!) / -M[i * cols + i]!;
}

/** What letting pruned weight j in gains. */
export function additionGain({ M, v, cols }: RowTableau, j: number): number {
  return (0.5 * v[j]! * v[j]!) / M[j * cols + j]!;
}

/**
 * Takes kept weight p out, or lets pruned weight p in: the symmetric sweep (Goodnight 1979), M_ij -= M_ip M_pj / d with d = M_pp, then
 * M_ip = M_pi = +- M_ip / d (+ in, - out) and M_pp = -1 / d. cols^2 multiply-adds; rounding grows with the number of moves.
 */
export function pivot({ cols, M, v, mask }: RowTableau, p: number): void {
  const row = M.slice(p * cols, (p + 1) * cols);
  const d = row[p]!;
  const value = v[p]!;
  for (let i = 0; i < cols; i++) {
    const share = row[i]! / d;
    if (i === p || share === 0) continue;
    const start = i * cols;
    for (let j = 0; j < cols; j++) M[start + j]! -= share * row[j]!;
    v[i]! -= share * value;
  }
  const sign = mask[p] === 1 ? -1 : 1;
  for (let j = 0; j < cols; j++) M[p * cols + j] = M[j * cols + p] = (sign * row[j]!) / d;
  M[p * cols + p] = -1 / d;
  v[p] = (sign * value) / d;
  mask[p] = mask[p] === 1 ? 0 : 1;
}

/** Places of the ones of a mask, ascending. */
function supportOf(mask: Mask): Uint32Array {
  return Uint32Array.from(mask.keys()).filter((j) => mask[j] === 1);
}
