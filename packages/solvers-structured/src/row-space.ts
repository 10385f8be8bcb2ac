/**
 * What a group of weights costs under gradient rows, H = scale G'G + damping I, with every other kept weight re-fitted (structured OBS: the group form
 * of Hassibi and Stork 1993):
 *   1/2 w_g'[A_gg]^-1 w_g,  A = H[S,S]^-1.
 * In the space of the n rows, where S may be far larger than n: with K = I / scale + G_S G_S' / damping and L L' = K, X = L^-1 G_g,
 *   A_gg = (damping I - X'X) / damping^2                                          for groups of at most n weights, and
 *   the cost is damping/2 |w_g|^2 + 1/2 z'(I - X X'/damping)^-1 z, z = X w_g      for larger ones,
 * which is the same. Where a group goes, K loses G_g G_g' / damping: a change of the rank of the group, and nothing else has to be computed anew.
 */
import { type Mat, matrix, type RunContext, throwIfAborted } from "@secateur/core";
import { type ColumnView, factorize, solveSpd, withScratch, writeColumns } from "@secateur/core/linalg";

/** Gradient rows with columns, and K of the weights that are kept. */
export interface RowSpace {
  readonly view: ColumnView;
  /** K [n, n] f64. */
  readonly K: Mat;
  readonly ctx: RunContext;
}

/** K of all `columns`. n^2 |S| / 2 multiply-adds. */
export async function rowSpace(view: ColumnView, columns: Iterable<Uint32Array>, ctx: RunContext): Promise<RowSpace> {
  const { rows, scale } = view;
  const K = matrix(rows, rows, new Float64Array(rows * rows));
  for (let i = 0; i < rows; i++) K.data[i * (rows + 1)] = 1 / scale;
  const space = { view, K, ctx };
  await addGroups(space, columns, 1);
  return space;
}

/** K of groups that come (sign 1) or go (-1), in place. */
export async function addGroups(space: RowSpace, groups: Iterable<Uint32Array>, sign: 1 | -1): Promise<void> {
  for (const group of groups) await addGroup(space, group, sign);
}

/** K += sign G_g G_g' / damping. */
async function addGroup({ view, K, ctx }: RowSpace, columns: Uint32Array, sign: 1 | -1): Promise<void> {
  throwIfAborted(ctx.signal);
  const { kernels } = ctx;
  await withScratch(kernels, async (alloc) => {
    const n = view.rows;
    const G = matrix(n, columns.length, alloc(n * columns.length, "f64"));
    await writeColumns({ view, columns, out: G, kernels });
    const gram = matrix(n, n, alloc(n * n, "f64"));
    kernels.gram({ a: G, out: gram });
    for (let i = 0; i < K.data.length; i++) K.data[i] = K.data[i]! + (sign * gram.data[i]!) / view.damping;
  });
}

/**
 * The costs of kept groups, in order. n^3 / 6, and for each group of m weights n^2 m / 2 and n m min(n, m) / 2 multiply-adds.
 *
 * @param spec.groups - kept groups, ascending columns each
 * @param spec.w - the weights [p] at the minimum over what is kept
 * @throws ERR_SINGULAR
 */
export async function groupCosts(
  { view, K, ctx }: RowSpace,
  { groups, w }: { groups: readonly Uint32Array[]; w: Float64Array },
): Promise<Float64Array> {
  const { rows: n, damping } = view;
  const { kernels } = ctx;
  const L = matrix(n, n, K.data.slice());
  factorize({ H: L, what: "the Gram matrix of the gradient rows", damping, kernels });
  const costs = new Float64Array(groups.length);
  for (const [index, columns] of groups.entries()) {
    throwIfAborted(ctx.signal);
    costs[index] = await withScratch(kernels, async (alloc) => {
      const m = columns.length;
      const X = matrix(n, m, alloc(n * m, "f64"));
      await writeColumns({ view, columns, out: X, kernels });
      kernels.triangularSolve({ l: L, b: X });
      const own = Float64Array.from(columns, (j) => w[j]!);
      const size = Math.min(n, m);
      const gram = matrix(size, size, alloc(size * size, "f64"));
      kernels.gram({ a: X, out: gram, ...(m <= n ? { transpose: true } : {}) });
      const what = "the curvature of a group";
      if (m <= n) {
        // damping^2 A_gg
        for (let i = 0; i < gram.data.length; i++) gram.data[i] = -gram.data[i]!;
        for (let i = 0; i < m; i++) gram.data[i * (m + 1)] = gram.data[i * (m + 1)]! + damping;
        const solved = own.slice();
        solveSpd({ H: gram, b: solved, what, damping, kernels });
        return 0.5 * damping ** 2 * product(own, solved);
      }
      const z = new Float64Array(n);
      for (let r = 0; r < n; r++) for (let j = 0; j < m; j++) z[r] = z[r]! + X.data[r * m + j]! * own[j]!;
      for (let i = 0; i < gram.data.length; i++) gram.data[i] = -gram.data[i]! / damping;
      for (let i = 0; i < n; i++) gram.data[i * (n + 1)] = gram.data[i * (n + 1)]! + 1;
      const solved = z.slice();
      solveSpd({ H: gram, b: solved, what, damping, kernels });
      return 0.5 * (damping * product(own, own) + product(z, solved));
    });
  }
  return costs;
}

function product(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
