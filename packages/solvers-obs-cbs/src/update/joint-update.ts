/**
 * The joint OBS update (CBS-U, Yu et al., ICML 2022): all pruned weights P go to zero at once and the kept ones S answer,
 *   d_P = -w_P,   minimise 1/2 d'Hd + g'd over d_S:   H_SS d_S = H_SP w_P - g_S.
 * The published F^-1_PP system has the same solution (Lagrange multipliers of d_P = -w_P); this side of it needs no inverse
 * and is small where few weights are kept. With A = sqrt(scale) G_S, r = sqrt(scale) G w_P and b = A'r - g_S, three forms:
 *   primal  Cholesky of the k x k matrix A'A + damping I;
 *   dual    d = (b - A'(A A' + damping I)^-1 A b) / damping, without g more simply d = A'(A A' + damping I)^-1 r; n x n;
 *   cg      conjugate gradients with the diagonal of H as preconditioner; only products.
 * The factorisations are in f64. The cheapest is taken; a singular system is refused, never repaired.
 */
import {
  type Dtype,
  type FactorView,
  type Kernels,
  keptWeights,
  type Mask,
  matrix,
  type Problem,
  type RunContext,
} from "@secateur/core";
import { needsColumns, onlyOneRow, singularUpdate } from "../errors.ts";
import { denseBlock } from "./dense-block.ts";
import { gatherScaled, scaledGram } from "./gather.ts";
import { solveByProducts } from "./solve-by-products.ts";
import { type BlockSize, type WeightRange, weightRanges } from "./weight-ranges.ts";

/** How the linear system is solved. */
export type UpdateForm = "auto" | "primal" | "dual" | "cg";

/** Settings of {@link jointUpdate}. */
export interface JointUpdateOptions {
  /** What H is cut to; default "network". */
  readonly blockSize?: BlockSize | undefined;
  /** Default "auto", the cheapest. */
  readonly form?: UpdateForm | undefined;
}

/**
 * The best weights on a mask, exactly; f64 [p], zeros where the mask is 0.
 * Time by form, k kept weights and n rows: n k^2 + k^3 / 3, n^2 k + n^3 / 3, or some 100 products. Memory: 8 k^2 + 8 n k,
 * 8 n^2, or a few vectors.
 *
 * @param spec.tolerance - relative residual at which conjugate gradients stop; default: what the dtype can tell
 * @throws ERR_SINGULAR naming pivot and damping; ERR_INCOMPATIBLE for more than one row of weights
 */
export async function jointUpdate(
  spec: { problem: Problem; mask: Mask; tolerance?: number } & JointUpdateOptions,
  ctx: RunContext,
): Promise<Float64Array> {
  const { problem, mask, blockSize = "network", form = "auto", tolerance } = spec;
  if (problem.w.rows !== 1) throw onlyOneRow("the joint update", problem.id, problem.w.rows);
  const support = keptWeights(problem.units, mask);
  const w = new Float64Array(problem.w.cols);
  const ranges = weightRanges(problem, blockSize);
  for (const [index, range] of ranges.entries()) {
    const kept = support.filter((j) => j >= range.start && j < range.end);
    const d = await displacement({ problem, kept, range, form, tolerance }, ctx);
    kept.forEach((j, s) => {
      w[j] = problem.w.data[j]! + d[s]!;
    });
    if (ranges.length > 1) await ctx.tick({ task: "solve", done: index + 1, total: ranges.length });
  }
  return w;
}

interface Task {
  readonly problem: Problem;
  /** Within the range, ascending. */
  readonly kept: Uint32Array;
  readonly range: WeightRange;
  readonly form: UpdateForm;
  readonly tolerance: number | undefined;
}

/** d_S */
async function displacement(task: Task, ctx: RunContext): Promise<Float64Array> {
  const { problem, kept, range, tolerance } = task;
  if (kept.length === 0) return new Float64Array(0);
  const pruned = Float64Array.from(problem.w.data, (value, j) => (j >= range.start && j < range.end ? value : 0));
  for (const j of kept) pruned[j] = 0;
  const view = problem.curvature.factor?.();
  if (view?.damping === 0) refuseSingular({ view, kept, form: task.form });
  const form = task.form === "auto" ? cheapestForm(view, kept.length) : task.form;
  if (form === "cg" || !view) return solveByProducts({ problem, kept, pruned, tolerance }, ctx);
  const { kernels } = ctx;
  const gradient = problem.gradient ? Float64Array.from(kept, (j) => problem.gradient!.data[j]!) : undefined;
  if (!view.columns) {
    if (form === "dual" || !view.columnGram) throw needsColumns(`the ${form} form of the joint update`);
    return solvePrimalBlock({ view, kept, gradient, kernels }, await slopeOf(view, pruned, kept));
  }
  const image = new Float64Array(view.rows);
  await view.times(pruned, image);
  for (let i = 0; i < image.length; i++) image[i]! *= Math.sqrt(view.scale);
  const system = { view: { ...view, columns: view.columns }, kept, image, gradient, kernels };
  return form === "primal" ? solvePrimal(system) : solveDual(system);
}

/** Without damping, n rows determine at most n weights, and weights without curvature none: known before any product. */
function refuseSingular({ view, kept, form }: { view: FactorView; kept: Uint32Array; form: UpdateForm }): void {
  const { rows, damping } = view;
  const norms = view.columnNormsSquared();
  const dead = kept.findIndex((j) => !(norms[j]! > 0));
  if (dead >= 0) throw singularUpdate({ form, pivot: dead, damping });
  if (kept.length > rows) throw singularUpdate({ form, pivot: rows, damping });
}

/** Conjugate gradients take about this many iterations to single precision on rows of a network. */
const usualIterations = 80;

/** How many times faster a multiply-add is inside a matrix product than streamed from memory. */
const gemmSpeedUp = 6;

/** Without damping a factorisation tells for sure whether a system is singular; up to this size it is affordable: 134 MB. */
const mostPrimal = 4096;

/** The form of least estimated time among those that can tell a singular system. */
function cheapestForm(view: FactorView | undefined, k: number): Exclude<UpdateForm, "auto"> {
  if (!view?.columns) return view?.columnGram && view.damping === 0 && k <= mostPrimal ? "primal" : "cg";
  const { rows: n, damping, productCost } = view;
  const primal = (n * k * k + k ** 3 / 3) / gemmSpeedUp;
  const dual = (n * n * k + n ** 3 / 3) / gemmSpeedUp;
  const cg = 2 * usualIterations * productCost;
  if (damping === 0) return k <= n ? "primal" : "dual";
  if (cg <= primal && cg <= dual) return "cg";
  return primal <= dual ? "primal" : "dual";
}

/** (scale G'G w_P)_S; H_SP w_P, since damping joins no two weights. */
async function slopeOf(view: FactorView, pruned: Float64Array, kept: Uint32Array): Promise<Float64Array> {
  const image = new Float64Array(view.rows);
  await view.times(pruned, image);
  const back = new Float64Array(view.dim);
  await view.transposeTimes(image, back);
  return Float64Array.from(kept, (j) => view.scale * back[j]!);
}

/** The primal form where only the Gram matrix of columns can be had. */
async function solvePrimalBlock(
  system: Pick<System, "kept" | "gradient" | "kernels"> & { view: FactorView },
  b: Float64Array,
): Promise<Float64Array> {
  const { view, kept, gradient, kernels } = system;
  const H = await denseBlock(view, kept, kernels);
  if (gradient) kernels.axpy(-1, gradient, b);
  solveCholesky({ H, b, form: "primal", damping: view.damping, dtype: view.dtype, kernels });
  return b;
}

interface System {
  readonly view: FactorView & Required<Pick<FactorView, "columns">>;
  readonly kept: Uint32Array;
  /** r [n] */
  readonly image: Float64Array;
  /** g_S */
  readonly gradient: Float64Array | undefined;
  readonly kernels: Kernels;
}

async function solvePrimal({ view, kept, image, gradient, kernels }: System): Promise<Float64Array> {
  const k = kept.length;
  const A = await gatherScaled(view, kept, kernels);
  const H = matrix(k, k, kernels.alloc(k * k, "f64"));
  kernels.gram({ a: A, transpose: true, out: H });
  const b = new Float64Array(k);
  kernels.gemv({ a: A, transpose: true, x: image, out: b });
  kernels.free(A.data);
  if (gradient) kernels.axpy(-1, gradient, b);
  for (let j = 0; j < k; j++) H.data[j * k + j]! += view.damping;
  solveCholesky({ H, b, form: "primal", damping: view.damping, kernels });
  kernels.free(H.data);
  return b;
}

async function solveDual({ view, kept, image, gradient, kernels }: System): Promise<Float64Array> {
  const { rows: n, damping } = view;
  // n rows determine at most n of more weights: pivot n of H_SS is zero.
  if (!(damping > 0)) throw singularUpdate({ form: "dual", pivot: Math.min(n, kept.length), damping });
  const K = await scaledGram(view, kept, kernels);
  for (let i = 0; i < n; i++) K.data[i * n + i]! += damping;
  const right = image.slice();
  // With g: d = A'z - (g - A'y) / damping with K z = r, K y = A g, that is d = A' K^-1 (r + A g / damping) - g / damping.
  const tiles = (): AsyncGenerator<{ start: number; A: Awaited<ReturnType<typeof gatherScaled>> }> =>
    columnTiles({ view, kept, kernels });
  if (gradient) {
    for await (const { start, A } of tiles()) {
      const x = gradient.slice(start, start + A.cols);
      kernels.gemv({ a: A, x, out: right, alpha: 1 / damping, beta: 1 });
    }
  }
  solveCholesky({ H: K, b: right, form: "dual", damping, kernels });
  kernels.free(K.data);
  const d = gradient ? gradient.map((slope) => -slope / damping) : new Float64Array(kept.length);
  for await (const { start, A } of tiles()) {
    kernels.gemv({ a: A, transpose: true, x: right, out: d.subarray(start, start + A.cols), beta: 1 });
  }
  return d;
}

const tileColumns = 2048;

async function* columnTiles(spec: Pick<System, "view" | "kept" | "kernels">) {
  const { view, kept, kernels } = spec;
  for (let start = 0; start < kept.length; start += tileColumns) {
    const A = await gatherScaled(view, kept.subarray(start, start + tileColumns), kernels);
    yield { start, A };
    kernels.free(A.data);
  }
}

/** b := H^-1 b; H is overwritten. */
function solveCholesky(spec: {
  H: ReturnType<typeof matrix>;
  b: Float64Array;
  form: string;
  damping: number;
  /** What the entries of H were summed in; default f64. */
  dtype?: Dtype;
  kernels: Kernels;
}): void {
  const { H, b, form, damping, dtype = "f64", kernels } = spec;
  const diagonal = Float64Array.from({ length: H.rows }, (_, j) => H.data[j * H.cols + j]!);
  const failed = kernels.cholesky(H);
  // A pivot that is only the rounding of its diagonal entry says as little as a negative one.
  const rounding = dtype === "f32" ? 2 ** -20 : H.rows * Number.EPSILON;
  const lost = (j: number): boolean => H.data[j * H.cols + j]! ** 2 <= rounding * diagonal[j]!;
  const pivot = failed >= 0 ? failed : diagonal.findIndex((_, j) => lost(j));
  if (pivot >= 0) throw singularUpdate({ form, pivot, damping });
  const x = matrix(b.length, 1, b);
  kernels.triangularSolve({ l: H, b: x });
  kernels.triangularSolve({ l: H, transpose: true, b: x });
}
