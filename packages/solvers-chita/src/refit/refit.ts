/**
 * BSO, the exact ridge back-solve on a fixed support S (CHITA, Benbaki et al. 2023, section 3.3; equal to the joint OBS
 * update when g = 0): with A = sqrt(scale) G_S, r = sqrt(scale) offset,
 *   minimise 1/2 ||A d + r||^2 + damping/2 ||d||^2 + g'd        (A'A + damping I) d = -(A'r + g).
 * Three ways to the same d, the cheapest of which is taken:
 *   primal  Cholesky of the k x k matrix A'A + damping I;
 *   dual    d = -A'z - (g - A'y)/damping, (A A' + damping I) z = r, (A A' + damping I) y = A g; n x n;
 *   cg      conjugate gradients with the diagonal as preconditioner; only products.
 * The factorisations are in f64. Departure: the paper forms the dual through 1/damping^2, which cancels; this does not
 * when g = 0.
 */
import {
  isPruneError,
  type Kernels,
  type Mat,
  matrix,
  quietContext,
  type RunContext,
  type Vec,
  zeros,
} from "@secateur/core";
import { needsColumns, singularRefit } from "../errors.ts";
import { gradientAt, type RowModel } from "../relaxation/row-model.ts";
import { withScratch } from "./with-scratch.ts";

/** How to solve. "auto" takes the cheapest, and conjugate gradients where a factorisation finds the system singular. */
export type RefitForm = "auto" | "primal" | "dual" | "cg";

/** What a re-fit gives. */
export interface Refit {
  /** d [k], the displacement of the free weights. */
  readonly d: Vec;
  readonly form: Exclude<RefitForm, "auto">;
  /** Conjugate-gradient iterations, 0 for a factorisation. */
  readonly iterations: number;
}

/** Settings of {@link refit}. */
export interface RefitOptions {
  /** Default "auto". */
  readonly form?: RefitForm;
  /** d to start conjugate gradients from; default 0. */
  readonly start?: Vec;
  /** Relative residual at which conjugate gradients stop; default 1e-6 in f32, 1e-12 in f64. */
  readonly tolerance?: number;
  /** Of conjugate gradients; default 500. */
  readonly maxIterations?: number;
}

/**
 * Minimises a row model over all of its weights. Restrict the model to the support first.
 *
 * @param model - over the support, k weights and n rows
 * @throws ERR_SINGULAR when a factorisation meets a pivot that is not positive (damping 0 and dependent columns)
 */
export async function refit(model: RowModel, options: RefitOptions, ctx: RunContext): Promise<Refit> {
  const { form = "auto" } = options;
  if (model.size === 0) return { d: zeros(0, model.dtype), form: "primal", iterations: 0 };
  if (form !== "auto" && form !== "cg" && !model.gather) throw needsColumns(`the ${form} form of the re-fit`);
  if (form !== "auto") return solveBy(form, { model, options }, ctx);
  try {
    return await solveBy(cheapestForm(model), { model, options }, ctx);
  } catch (error) {
    if (isPruneError(error) && error.code === "ERR_SINGULAR") return solveBy("cg", { model, options }, ctx);
    throw error;
  }
}

interface RefitTask {
  readonly model: RowModel;
  readonly options: RefitOptions;
}

async function solveBy(form: Refit["form"], task: RefitTask, ctx: RunContext): Promise<Refit> {
  switch (form) {
    case "primal":
      return { d: await solvePrimal(task.model), form, iterations: 0 };
    case "dual":
      return { d: await solveDual(task.model), form, iterations: 0 };
    case "cg":
      return { ...(await conjugateGradients(task, ctx)), form };
    default:
      return form satisfies never;
  }
}

/** Conjugate gradients take about this many iterations to single precision on rows of a network. */
const usualIterations = 80;

/** How many times faster a multiply-add is inside a matrix product than streamed from memory. */
const gemmSpeedUp = 6;

/** The form of least estimated time. Without damping only the primal form is defined; with many weights, only products are. */
function cheapestForm({
  rows: n,
  size: k,
  damping,
  gradient,
  gather,
  productCost,
}: RowModel): Exclude<RefitForm, "auto"> {
  if (!gather) return "cg";
  const cg = 2 * usualIterations * productCost;
  const primal = (n * k * k + k ** 3 / 3) / gemmSpeedUp;
  // With g, the dual form divides by the damping; leave it to the other two.
  const dual = damping > 0 && !gradient ? (n * n * k + n ** 3 / 3) / gemmSpeedUp : Number.POSITIVE_INFINITY;
  if (damping === 0) return k <= n ? "primal" : "cg";
  if (cg <= primal && cg <= dual) return "cg";
  return primal <= dual ? "primal" : "dual";
}

/** All of G [n, k] in f64, into `out`. */
async function gather64(model: RowModel, out: Vec): Promise<Mat> {
  const data = zeros(out.length, model.dtype);
  await model.gather!(
    Uint32Array.from({ length: model.size }, (_, j) => j),
    data,
  );
  out.set(data);
  return matrix(model.rows, model.size, out);
}

function solvePrimal(model: RowModel): Promise<Vec> {
  const { rows, size: k, kernels, scale, damping, dtype } = model;
  return withScratch(kernels, async (alloc) => {
    const G = await gather64(model, alloc(rows * k, "f64"));
    const H = matrix(k, k, alloc(k * k, "f64"));
    kernels.gram({ a: G, transpose: true, out: H, alpha: scale });
    addDiagonal(H, damping);
    const slope = zeros(k, dtype);
    await gradientAt(model, { d: zeros(k, dtype), residual: model.offset ?? zeros(rows, dtype) }, slope);
    const right = new Float64Array(k);
    for (let j = 0; j < k; j++) right[j] = -slope[j]!;
    return cast(solveCholesky(H, right, damping, kernels), model);
  });
}

function solveDual(model: RowModel): Promise<Vec> {
  const { rows: n, size: k, kernels, scale, damping } = model;
  // The slope is divided by the damping.
  if (damping === 0 && model.gradient) throw singularRefit(0, damping);
  return withScratch(kernels, async (alloc) => {
    const G = await gather64(model, alloc(n * k, "f64"));
    const K = matrix(n, n, alloc(n * n, "f64"));
    kernels.gram({ a: G, out: K, alpha: scale });
    addDiagonal(K, damping);
    const right = new Float64Array(n);
    if (model.offset) right.set(model.offset);
    // Without g: d = -scale G'z, (K + damping I) z = offset. With g the part -(g - scale G'y)/damping is added.
    const d = new Float64Array(k);
    if (model.gradient) {
      const g = Float64Array.from(model.gradient);
      const y = new Float64Array(n);
      kernels.gemv({ a: G, x: g, out: y });
      for (let i = 0; i < n; i++) right[i] = right[i]! - y[i]! / damping;
      for (let j = 0; j < k; j++) d[j] = -g[j]! / damping;
    }
    const z = solveCholesky(K, right, damping, kernels);
    kernels.gemv({ a: G, transpose: true, x: z, out: d, alpha: -scale, beta: 1 });
    return cast(d, model);
  });
}

function addDiagonal(H: Mat, damping: number): void {
  for (let j = 0; j < H.rows; j++) H.data[j * H.cols + j] = H.data[j * H.cols + j]! + damping;
}

/** Solves H x = b through L L' = H, which replaces H. */
function solveCholesky(H: Mat, b: Float64Array, damping: number, kernels: Kernels): Float64Array {
  const diagonal = Float64Array.from({ length: H.rows }, (_, j) => H.data[j * H.cols + j]!);
  const failed = kernels.cholesky(H);
  // A pivot that is only the rounding of its diagonal entry says as little as a negative one.
  const lost = (j: number): boolean => H.data[j * H.cols + j]! ** 2 <= H.rows * Number.EPSILON * diagonal[j]!;
  const pivot = failed >= 0 ? failed : diagonal.findIndex((_, j) => lost(j));
  if (pivot >= 0) throw singularRefit(pivot, damping);
  const x = matrix(b.length, 1, b);
  kernels.triangularSolve({ l: H, b: x });
  kernels.triangularSolve({ l: H, transpose: true, b: x });
  return b;
}

function cast(values: Float64Array, { dtype }: RowModel): Vec {
  return dtype === "f64" ? values : Float32Array.from(values);
}

/** Preconditioned conjugate gradients on (scale G'G + damping I) d = -(scale G'offset + g). */
async function conjugateGradients(
  { model, options }: RefitTask,
  ctx: RunContext,
): Promise<{ d: Vec; iterations: number }> {
  const { size, rows, dtype, scale, damping, kernels } = model;
  const { tolerance = dtype === "f64" ? 1e-12 : 1e-6, maxIterations = 500 } = options;
  const norms = model.columnNormsSquared();
  // A zero column without damping has no slope either: any positive number does.
  const inverse = norms.map((norm) => 1 / (scale * norm + damping || 1));
  const d = options.start?.slice() ?? zeros(size, dtype);
  const residual = zeros(rows, dtype);
  await model.times(d, residual);
  if (model.offset) kernels.axpy(1, model.offset, residual);
  const r = zeros(size, dtype);
  await gradientAt(model, { d, residual }, r);
  for (let j = 0; j < size; j++) r[j] = -r[j]!;
  const z = zeros(size, dtype);
  const precondition = (): number => {
    for (let j = 0; j < size; j++) z[j] = inverse[j]! * r[j]!;
    return kernels.dot(r, z);
  };
  const stiffness = (x: Vec): number => {
    let sum = 0;
    for (let j = 0; j < size; j++) sum += x[j]! ** 2 / inverse[j]!;
    return sum;
  };
  const flat = dtype === "f64" ? 2 ** -52 : 2 ** -23;
  let rho = precondition();
  const target = tolerance ** 2 * rho;
  const direction = z.slice();
  const image = zeros(rows, dtype);
  const product = zeros(size, dtype);
  // An abort is heard in every iteration; progress is the caller's to report.
  const quiet = quietContext(ctx);
  let iterations = 0;
  while (rho > target && rho > 0 && iterations < maxIterations) {
    await model.times(direction, image);
    await model.transposeTimes(image, product);
    for (let j = 0; j < size; j++) product[j] = scale * product[j]! + damping * direction[j]!;
    const bend = kernels.dot(direction, product);
    // Only rounding bends Q along it: without damping it is flat there, and a step would have no bounds.
    if (!(bend > flat * stiffness(direction))) break;
    const alpha = rho / bend;
    kernels.axpy(alpha, direction, d);
    kernels.axpy(-alpha, product, r);
    const next = precondition();
    const beta = next / rho;
    for (let j = 0; j < size; j++) direction[j] = z[j]! + beta * direction[j]!;
    rho = next;
    iterations++;
    await quiet.tick({ task: "solve", done: iterations });
  }
  return { d, iterations };
}
