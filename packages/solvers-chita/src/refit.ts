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
import { isPruneError, type Kernels, type Mat, matrix, type Vec } from "@secateur/core";
import { needsColumns, singularRefit } from "./errors.ts";
import { gradientAt, type RowModel, vector } from "./row-model.ts";

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
export async function refit(model: RowModel, options: RefitOptions = {}): Promise<Refit> {
  const { form = "auto" } = options;
  if (model.size === 0) return { d: vector(0, model.dtype), form: "primal", iterations: 0 };
  if (form !== "auto" && form !== "cg" && !model.gather) throw needsColumns(`the ${form} form of the re-fit`);
  if (form !== "auto") return solveBy(form, model, options);
  try {
    return await solveBy(cheapestForm(model), model, options);
  } catch (error) {
    if (isPruneError(error) && error.code === "ERR_SINGULAR") return solveBy("cg", model, options);
    throw error;
  }
}

async function solveBy(form: Refit["form"], model: RowModel, options: RefitOptions): Promise<Refit> {
  switch (form) {
    case "primal":
      return { d: await solvePrimal(model), form, iterations: 0 };
    case "dual":
      return { d: await solveDual(model), form, iterations: 0 };
    case "cg":
      return { ...(await conjugateGradients(model, options)), form };
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

async function gathered(model: RowModel): Promise<Mat> {
  const G = matrix(model.rows, model.size, model.kernels.alloc(model.rows * model.size, "f64"));
  const columns = Uint32Array.from({ length: model.size }, (_, j) => j);
  const data = vector(G.data.length, model.dtype);
  await model.gather!(columns, data);
  G.data.set(data);
  return G;
}

async function solvePrimal(model: RowModel): Promise<Vec> {
  const { size: k, kernels, scale, damping } = model;
  const G = await gathered(model);
  const H = matrix(k, k, kernels.alloc(k * k, "f64"));
  kernels.gram({ a: G, transpose: true, out: H, alpha: scale });
  kernels.free(G.data);
  addDiagonal(H, damping);
  const slope = vector(k, model.dtype);
  await gradientAt(
    model,
    { d: vector(k, model.dtype), residual: model.offset ?? vector(model.rows, model.dtype) },
    slope,
  );
  const solution = solveCholesky(
    H,
    Float64Array.from(slope, (value) => -value),
    damping,
    kernels,
  );
  kernels.free(H.data);
  return cast(solution, model);
}

async function solveDual(model: RowModel): Promise<Vec> {
  const { rows: n, size: k, kernels, scale, damping } = model;
  const G = await gathered(model);
  const K = matrix(n, n, kernels.alloc(n * n, "f64"));
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
  kernels.free(G.data);
  kernels.free(K.data);
  return cast(d, model);
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
async function conjugateGradients(model: RowModel, options: RefitOptions): Promise<{ d: Vec; iterations: number }> {
  const { size, rows, dtype, scale, damping, kernels } = model;
  const { tolerance = dtype === "f64" ? 1e-12 : 1e-6, maxIterations = 500 } = options;
  const norms = model.columnNormsSquared();
  // A zero column without damping has no slope either: any positive number does.
  const inverse = norms.map((norm) => 1 / (scale * norm + damping || 1));
  const d = options.start?.slice() ?? vector(size, dtype);
  const residual = vector(rows, dtype);
  await model.times(d, residual);
  if (model.offset) kernels.axpy(1, model.offset, residual);
  const r = vector(size, dtype);
  await gradientAt(model, { d, residual }, r);
  for (let j = 0; j < size; j++) r[j] = -r[j]!;
  const z = vector(size, dtype);
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
  const image = vector(rows, dtype);
  const product = vector(size, dtype);
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
  }
  return { d, iterations };
}
