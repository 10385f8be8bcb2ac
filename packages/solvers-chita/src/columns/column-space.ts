/**
 * The problem of chita seen from its n rows, with everything of p numbers in shards of the columns (relaxation/row-space.ts says the notation):
 *   Q(w) = 1/2 ||A w - y||^2 + lambda/2 ||w - w0||^2 - 1/2 ||c||^2,   A = sqrt(scale) G,   y = A w0 - c.
 * Departures: a damping that leaves an n x n system singular is refused (chita raises it while it searches, and takes that out again). The first-order term g, the mean row, is A'c with c_i = 1 / (n sqrt(scale)), so that it moves the target and no weight; where lambda is small,
 * w0 - g / lambda would lose what an f32 holds.
 */
import { type Kernels, type Mat, matrix } from "@secateur/core";
import { factorize } from "@secateur/core/linalg";
import { chitaDefaults } from "../chita-defaults.ts";
import { numbersTooLarge, overflow, rowsNeedDamping, tooManyRows } from "../errors.ts";
import type { ProductOf } from "./column-shard.ts";
import { askAll, type Shards, sumShards } from "./sum-shards.ts";

/** A problem in shards, and what of it has n numbers. */
export interface ColumnSpace {
  readonly shards: Shards;
  readonly kernels: Kernels;
  /** n */
  readonly rows: number;
  /** p */
  readonly size: number;
  readonly lambda: number;
  /** sqrt(scale) */
  readonly root: number;
  /** y [n] */
  readonly target: Float64Array;
  /** c [n] */
  readonly shift: Float64Array;
  /** lambda/2 ||w0||^2 */
  readonly energy: number;
  /** I + A A' / lambda [n, n] */
  readonly full: Mat;
}

/** What poses a problem by columns. */
export interface ColumnProblem {
  /** In the order of the columns. */
  readonly shards: Shards;
  readonly rows: number;
  readonly size: number;
  /** H = scale G'G + damping I. */
  readonly scale: number;
  /** > 0 */
  readonly damping: number;
  /** Whether the mean row is the first-order term. */
  readonly firstOrder: boolean;
  /** The file of the rows, for messages. */
  readonly where?: string | undefined;
  /** Default 2048. */
  readonly maxRows?: number | undefined;
  readonly kernels: Kernels;
}

/** Asked before anything is read. @param spec.where - the file of the rows, for the message. @throws ERR_INCOMPATIBLE */
export function assertSolvedByColumns(spec: {
  readonly where: string;
  readonly rows: number;
  readonly damping: number;
  readonly maxRows?: number | undefined;
}): void {
  const { where, rows, damping, maxRows = chitaDefaults.maxRows } = spec;
  if (rows > maxRows) throw tooManyRows(where, rows, maxRows);
  if (!(damping > 0)) throw rowsNeedDamping(where, damping);
}

/** Sets the stage: one product, and the Gram matrix of all columns. @throws ERR_INCOMPATIBLE, ERR_NOT_FINITE */
export async function columnSpace(problem: ColumnProblem): Promise<ColumnSpace> {
  const { shards, rows, size, scale, damping: lambda, firstOrder, kernels } = problem;
  assertSolvedByColumns({ where: "chita by columns", rows, damping: lambda, maxRows: problem.maxRows });
  const root = Math.sqrt(scale);
  const shift = new Float64Array(rows).fill(firstOrder ? 1 / (rows * root) : 0);
  const raw = await sumShards(shards, (shard) => shard.gram("all"));
  if (!raw.every(Number.isFinite)) throw numbersTooLarge(problem.where);
  const full = matrix(rows, rows, regularised({ rows, root, lambda }, raw));
  const { image, square } = await times({ shards, rows, root }, { of: "dense" });
  const target = image.map((value, i) => value - shift[i]!);
  return { shards, kernels, rows, size, lambda, root, target, shift, energy: 0.5 * lambda * square, full };
}

/** A x [n], ||x - w0||^2 and ||w0||^2. A pass over the rows. */
export async function times(
  { shards, rows, root }: Pick<ColumnSpace, "shards" | "rows" | "root">,
  of: ProductOf,
): Promise<{ image: Float64Array; distance: number; square: number }> {
  const sum = await sumShards(shards, (shard) => shard.product(of));
  const image = sum.subarray(0, rows).map((value) => root * value);
  if (!image.every(Number.isFinite)) throw overflow("weights");
  return { image, distance: sum[rows]!, square: sum[rows + 1]! };
}

/** V = w0 - A'u / lambda in every shard. A pass over the rows. */
export async function placeCandidates(space: ColumnSpace, u: Float64Array): Promise<void> {
  const s = scaled(space, u);
  await askAll(space.shards, (shard) => shard.setWeights(s));
}

/** sqrt(scale) u / lambda, by which shards move weights. */
export function scaled({ root, lambda }: Pick<ColumnSpace, "root" | "lambda">, u: Float64Array): Float64Array {
  return u.map((value) => (root * value) / lambda);
}

/** I + A_S A_S' / lambda over what is kept [n, n], by the columns that are fewer: those kept, or those that are not. */
export async function supportGram(space: ColumnSpace, keep: number): Promise<Mat> {
  const { shards, rows, size, full, root, lambda } = space;
  const few = keep <= size / 2;
  const part = await sumShards(shards, (shard) => shard.gram(few ? "kept" : "pruned"));
  if (few) return matrix(rows, rows, regularised({ rows, root, lambda }, part));
  return matrix(
    rows,
    rows,
    part.map((value, i) => full.data[i]! - (root ** 2 / lambda) * value),
  );
}

/** The Cholesky factor of a copy of M, in place of `out`. @throws ERR_SINGULAR */
export function factorOf({ kernels, lambda }: Pick<ColumnSpace, "kernels" | "lambda">, M: Mat): Mat {
  const L = matrix(M.rows, M.cols, M.data.slice());
  return factorize({ H: L, what: "chita: the system of the rows", damping: lambda, rounding: 0, kernels });
}

function regularised(
  { rows, root, lambda }: Pick<ColumnSpace, "rows" | "root" | "lambda">,
  raw: Float64Array,
): Float64Array {
  const M = raw.map((value) => (root ** 2 / lambda) * value);
  for (let i = 0; i < rows; i++) M[i * rows + i]! += 1;
  return M;
}
