/**
 * The exact ridge re-fit on a support S, CHITA's BSO (Benbaki et al. 2023, section 3.3) and the joint OBS update (CBS-U, Yu et al.
 * 2022), which are the same: with all pruned weights at zero the kept ones minimise Q. With A = sqrt(scale) G_S and
 * r = sqrt(scale) offset, where offset = -G w_P,
 *   minimise 1/2 ||A d + r||^2 + damping/2 ||d||^2 + g'd        (A'A + damping I) d = -(A'r + g).
 * The published F^-1_PP system of the OBS update has the same solution (Lagrange multipliers of d_P = -w_P); this side of it needs
 * no inverse and is small where few weights are kept. Three ways to d:
 *   primal  Cholesky of the k x k matrix A'A + damping I;
 *   dual    d = -A'z - (g - A'y) / damping, (A A' + damping I) z = r, (A A' + damping I) y = A g; n x n;
 *   cg      conjugate gradients with the diagonal as preconditioner; only products.
 * The factorisations are in f64. Departure: the paper forms the dual through 1/damping^2, which cancels; this does not
 * when g = 0.
 */
import { needsColumns, singularSystem } from "../../errors.ts";
import { type Dtype, matrix, type Vec, zeros } from "../../problem/matrix.ts";
import { isPruneError } from "../../prune-error.ts";
import type { RunContext } from "../../run-context.ts";
import { addToDiagonal, roundingOfF32, solveSpd } from "../cholesky.ts";
import { addRowGram, eachColumnTile, hasColumns, indices, writeColumns, writeCurvature } from "../column-grams.ts";
import { type CgStatus, conjugateGradients } from "../conjugate-gradients.ts";
import { gradientAt, type QuadraticModel } from "../quadratic-model.ts";
import { withScratch } from "../with-scratch.ts";
import { cheapestForm, type RefitForm } from "./refit-form.ts";

/** What a re-fit gives. */
export interface Refit {
  /** d [k], the displacement of the kept weights. */
  readonly d: Vec;
  readonly form: RefitForm;
  /** Conjugate-gradient iterations, 0 for a factorisation. */
  readonly iterations: number;
  /** "exact" for a factorisation. */
  readonly status: CgStatus | "exact";
}

/** Settings of {@link refit}. */
export interface RefitOptions {
  /** Default "auto": the cheapest. */
  readonly form?: RefitForm | "auto" | undefined;
  /** d [k] to start conjugate gradients from; default 0. */
  readonly start?: Vec;
  /** Relative residual at which conjugate gradients stop; default 1e-6 for products in f32, 1e-12 in f64. */
  readonly tolerance?: number | undefined;
  /** Of conjugate gradients; default 1000. */
  readonly maxIterations?: number;
  /** What the recurrences of conjugate gradients run in, and d comes in; default: the model's dtype. */
  readonly recurrences?: Dtype;
  /**
   * A system without a unique solution: "refuse" it, or take "any" of its minimisers (default), by conjugate gradients where a
   * factorisation finds out.
   */
  readonly singular?: "refuse" | "any";
  /** Who re-fits, for the message of an error; default "re-fit". */
  readonly who?: string;
}

/**
 * Minimises a quadratic model over all of its weights: pose it over a support first, {@link prunedModel}.
 * Time by form, k weights and n rows: n k^2 / 2 + k^3 / 6, n^2 k / 2 + n^3 / 6, or two products an iteration. Memory: 8 k^2 + 8 n k
 * bytes, 8 n^2 and tiles of columns, or a few vectors.
 *
 * @throws ERR_SINGULAR naming form, pivot and damping, with `singular: "refuse"` or a form that was asked for; ERR_INCOMPATIBLE for a
 *   factorisation of a curvature that has no columns; ERR_ABORTED
 */
export async function refit(model: QuadraticModel, options: RefitOptions, ctx: RunContext): Promise<Refit> {
  const { form = "auto", who = usualWho } = options;
  const refuses = options.singular === "refuse";
  const dtype = options.recurrences ?? model.dtype;
  if (model.dim === 0) return { d: zeros(0, dtype), form: "primal", iterations: 0, status: "exact" };
  refuseSingular(model, options);
  const chosen = form === "auto" ? cheapestForm(model, { hasSlope: !!model.gradient, refusesSingular: refuses }) : form;
  if (chosen === "cg") return solveByProducts(model, options, ctx);
  try {
    const values = chosen === "primal" ? await solvePrimal(model, who) : await solveDual(model, who);
    return { d: dtype === "f64" ? values : Float32Array.from(values), form: chosen, iterations: 0, status: "exact" };
  } catch (error) {
    const isTold = isPruneError(error) && error.code === "ERR_SINGULAR";
    if (form !== "auto" || refuses || !isTold) throw error;
    return solveByProducts(model, options, ctx);
  }
}

const usualWho = "re-fit";

const aboutForm = (form: RefitForm | "auto", who: string): string =>
  `${who} (${form} form): the curvature on the support`;

/**
 * Without damping n rows determine at most n weights, and weights without curvature none: known before any product.
 *
 * @param support - ascending; default: all weights of the model
 * @throws ERR_SINGULAR with `singular: "refuse"`
 */
export function refuseSingular(
  model: Pick<QuadraticModel, "rows" | "dim" | "scale" | "damping" | "columnNormsSquared">,
  { singular, form = "auto", who = usualWho }: Pick<RefitOptions, "singular" | "form" | "who">,
  support?: Uint32Array,
): void {
  if (singular !== "refuse" || model.damping !== 0) return;
  const asked = support ?? indices(0, model.dim);
  const norms = model.columnNormsSquared();
  const dead = asked.findIndex((j) => !(norms[j]! > 0));
  if (dead < 0 && asked.length <= model.rows) return;
  const pivot = dead < 0 ? model.rows : dead;
  const enough = enoughDamping(norms, model.scale);
  throw singularSystem({ what: aboutForm(form, who), pivot, damping: 0, enough });
}

/** A millionth of the largest curvature along a weight: what products in f32 can still tell from 0. */
function enoughDamping(norms: Float64Array, scale: number): number {
  return 1e-6 * scale * norms.reduce((largest, norm) => Math.max(largest, norm), 0);
}

function solvePrimal(model: QuadraticModel, who: string): Promise<Float64Array> {
  const { rows, dim: k, kernels, scale, damping, gradient, offset } = model;
  const columns = indices(0, k);
  return withScratch(kernels, async (alloc) => {
    const H = matrix(k, k, alloc(k * k, "f64"));
    const b = new Float64Array(k);
    const r = Float64Array.from(offset ?? zeros(rows, "f64"));
    let rounding: number | undefined;
    if (hasColumns(model)) {
      const G = matrix(rows, k, alloc(rows * k, "f64"));
      await writeColumns({ view: model, columns, out: G, kernels });
      kernels.gram({ a: G, transpose: true, out: H, alpha: scale });
      addToDiagonal(H, damping);
      kernels.gemv({ a: G, transpose: true, x: r, out: b, alpha: -scale });
    } else {
      if (!model.columnGram) throw needsColumns(`${who} (primal form)`);
      await writeCurvature({ view: model, columns, out: H, kernels });
      if (model.dtype === "f32") rounding = roundingOfF32;
      await model.transposeTimes(r, b);
      for (let j = 0; j < k; j++) b[j]! *= -scale;
    }
    if (gradient) for (let j = 0; j < k; j++) b[j]! -= gradient[j]!;
    solveSpd({ H, b, what: aboutForm("primal", who), damping, rounding, kernels });
    return b;
  });
}

function solveDual(model: QuadraticModel, who: string): Promise<Float64Array> {
  const { rows: n, dim: k, kernels, scale, damping, gradient, offset } = model;
  if (!hasColumns(model)) throw needsColumns(`${who} (dual form)`);
  const what = aboutForm("dual", who);
  // The slope is divided by the damping.
  if (damping === 0 && gradient) throw singularSystem({ what, pivot: 0, damping, enough: damping });
  const over = { view: model, columns: indices(0, k), dtype: "f64", kernels } as const;
  return withScratch(kernels, async (alloc) => {
    const K = matrix(n, n, alloc(n * n, "f64"));
    await addRowGram({ ...over, out: K });
    for (let i = 0; i < K.data.length; i++) K.data[i]! *= scale;
    addToDiagonal(K, damping);
    // Without g: d = -scale G'z, (K + damping I) z = offset. With g the part -(g - scale G'y)/damping is added.
    const z = Float64Array.from(offset ?? zeros(n, "f64"));
    const d = new Float64Array(k);
    if (gradient) {
      for (let j = 0; j < k; j++) d[j] = -gradient[j]! / damping;
      await eachColumnTile(over, (tile, start) =>
        kernels.gemv({ a: tile, x: d.subarray(start, start + tile.cols), out: z, beta: 1 }),
      );
    }
    solveSpd({ H: K, b: z, what, damping, kernels });
    await eachColumnTile(over, (tile, start) =>
      kernels.gemv({
        a: tile,
        transpose: true,
        x: z,
        out: d.subarray(start, start + tile.cols),
        alpha: -scale,
        beta: 1,
      }),
    );
    return d;
  });
}

/** Conjugate gradients on (scale G'G + damping I) d = -(scale G'offset + g). */
function solveByProducts(model: QuadraticModel, options: RefitOptions, ctx: RunContext): Promise<Refit> {
  const { dim: k, rows, dtype, scale, damping, kernels } = model;
  const { recurrences = dtype, start, maxIterations = 1000 } = options;
  const { tolerance = dtype === "f64" ? 1e-12 : 1e-6 } = options;
  return withScratch(kernels, async (alloc) => {
    const [from, image, back] = [alloc(k, dtype), alloc(rows, dtype), alloc(k, dtype)];
    if (start) {
      from.set(start);
      await model.times(from, image);
    }
    if (model.offset) kernels.axpy(1, model.offset, image);
    // From 0, and without an offset, the slope is all there is: no product is needed to know it.
    if (start || model.offset) await gradientAt(model, { d: from, residual: image }, back);
    else if (model.gradient) back.set(model.gradient);
    const [x, residual] = [alloc(k, recurrences), alloc(k, recurrences)];
    x.set(from);
    for (let j = 0; j < k; j++) residual[j] = -back[j]!;
    const factor = zeros(1, recurrences).fill(scale);
    const apply = async (direction: Vec, out: Vec): Promise<void> => {
      const isSame = recurrences === dtype;
      const [given, product] = isSame ? [direction, out] : [from, back];
      if (!isSame) from.set(direction);
      if (model.gramTimes) await model.gramTimes(given, product);
      else {
        await model.times(given, image);
        await model.transposeTimes(image, product);
      }
      if (!isSame) out.set(back);
      const row = matrix(1, k, out);
      if (scale !== 1) kernels.scaleRows(row, factor, row);
      if (damping !== 0) kernels.axpy(damping, direction, out);
    };
    const diagonal = model.columnNormsSquared().map((norm) => scale * norm + damping);
    const rounding = dtype === "f64" ? 2 ** -52 : 2 ** -23;
    const ended = await conjugateGradients(
      { x, residual, diagonal, apply, tolerance, maxIterations, rounding },
      { ...ctx, kernels },
    );
    if (ended.status === "flat" && options.singular === "refuse" && damping === 0) {
      // The curvatures along the directions of conjugate gradients are the pivots of the tridiagonal matrix behind them.
      const what = aboutForm("cg", options.who ?? usualWho);
      throw singularSystem({ what, pivot: ended.iterations, damping, enough: enoughDamping(diagonal, 1) });
    }
    return { d: x.slice(), form: "cg", ...ended };
  });
}
