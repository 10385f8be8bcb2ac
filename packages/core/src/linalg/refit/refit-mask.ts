/**
 * The re-fit of a problem of one row on its kept weights, through the diagonal blocks that its curvature is known to have: each is a
 * smaller problem of its own. Blocks that share one H (the rows of a layer, flattened) are solved together, from H written out.
 */
import type { CurvatureBlock } from "../../problem/curvature.ts";
import { dtypeOf, type Mat, matrix, type Vec, zeros } from "../../problem/matrix.ts";
import type { Problem } from "../../problem/problem.ts";
import { isPruneError } from "../../prune-error.ts";
import { type RunContext, throwIfAborted } from "../../run-context.ts";
import { partsOf } from "../block-diagonal.ts";
import type { BlockRange } from "../block-ranges.ts";
import { addToDiagonal } from "../cholesky.ts";
import { hasColumns, indices, writeColumns, writeCurvature } from "../column-grams.ts";
import { conjugateGradients } from "../conjugate-gradients.ts";
import { quadraticModel } from "../quadratic-model.ts";
import { withScratch } from "../with-scratch.ts";
import type { RefitOptions } from "./refit.ts";
import { type BlocksRefit, refitBlocks } from "./refit-blocks.ts";
import { refitRows } from "./refit-rows.ts";

/** Weights of one row up to which a shared H is written out: 134 MB. */
const mostWritten = 4096;

/**
 * The best kept weights of a problem of one row.
 *
 * @param spec.support - kept weights, ascending
 * @param spec.ranges - what H is cut to, ascending; default: all of it
 * @throws as {@link refit}; ERR_ABORTED
 */
export async function refitMask(
  spec: { readonly problem: Problem; readonly support: Uint32Array; readonly ranges?: readonly BlockRange[] },
  options: RefitOptions,
  ctx: RunContext,
): Promise<BlocksRefit> {
  throwIfAborted(ctx.signal);
  const { problem, support } = spec;
  const { curvature } = problem;
  const size = problem.w.cols;
  const blocks = curvature.blocks?.() ?? [{ start: 0, size, curvature }];
  const ranges = spec.ranges ?? [{ start: 0, end: size }];
  const isCut = ranges.some(
    ({ start, end }) => !blocks.some((block) => start <= block.start && end >= block.start + block.size),
  );
  const shared = isCut ? undefined : sharedCurvature(blocks, options);
  const together = shared && (await refitTogether({ problem, support, shared, count: blocks.length }, options, ctx));
  if (together) return together;
  const parts = partsOf(
    support,
    blocks.map((block) => block.size),
  );
  const d = new Float64Array(support.length);
  let [place, iterations, isExact] = [0, 0, true];
  for (const [index, block] of blocks.entries()) {
    const posed = problemOf(problem, block);
    const inside = ranges
      .map(({ start, end }) => ({
        start: Math.max(start - block.start, 0),
        end: Math.min(end - block.start, block.size),
      }))
      .filter(({ start, end }) => start < end);
    const own = { support: parts[index]!, ranges: inside };
    const found = posed.curvature.factor
      ? await refitBlocks({ model: quadraticModel(posed, ctx), ...own }, options, ctx)
      : await refitByApply({ problem: posed, ...own }, options, ctx);
    d.set(found.d, place);
    place += own.support.length;
    iterations += found.iterations;
    isExact &&= found.isExact;
  }
  return { d, iterations, isExact };
}

/** The problem of one block; its weights and slope are views. */
function problemOf(problem: Problem, { start, size, curvature }: CurvatureBlock): Problem {
  if (size === problem.w.cols) return { ...problem, curvature };
  const part = ({ data }: Mat): Mat => matrix(1, size, data.subarray(start, start + size));
  const { gradient, w } = problem;
  return { ...problem, w: part(w), ...(gradient ? { gradient: part(gradient) } : {}), curvature };
}

/** The one curvature of several blocks, where it can be written out and the form asked for leaves that open. */
function sharedCurvature(
  blocks: readonly CurvatureBlock[],
  { form = "auto" }: RefitOptions,
): CurvatureBlock["curvature"] | undefined {
  const [first] = blocks;
  if (!first || blocks.length < 2 || first.size > mostWritten || (form !== "auto" && form !== "cg")) return undefined;
  if (blocks.some(({ curvature }) => curvature !== first.curvature)) return undefined;
  const view = first.curvature.factor?.();
  return first.curvature.gram || view?.columns || view?.columnGram ? first.curvature : undefined;
}

/** H [c, c] f64, into scratch. */
async function writeShared(shared: CurvatureBlock["curvature"], H: Mat, ctx: RunContext): Promise<void> {
  const given = shared.gram?.();
  if (given) {
    H.data.set(given.data);
    return;
  }
  const { kernels } = ctx;
  const view = shared.factor!();
  const columns = indices(0, shared.dim);
  if (!hasColumns(view)) return writeCurvature({ view, columns, out: H, kernels });
  await withScratch(kernels, async (alloc) => {
    const G = matrix(view.rows, view.dim, alloc(view.rows * view.dim, "f64"));
    await writeColumns({ view, columns, out: G, kernels });
    kernels.gram({ a: G, transpose: true, out: H, alpha: view.scale });
  });
  addToDiagonal(H, view.damping);
}

/** Undefined where H is singular on a support and any minimiser will do: then each block is solved on its own. */
async function refitTogether(
  spec: { problem: Problem; support: Uint32Array; shared: CurvatureBlock["curvature"]; count: number },
  options: RefitOptions,
  ctx: RunContext,
): Promise<BlocksRefit | undefined> {
  const { problem, support, shared, count } = spec;
  const { w, gradient } = problem;
  const { kernels } = ctx;
  const { form = "auto", tolerance, who = "re-fit" } = options;
  const c = shared.dim;
  const damping = shared.factor?.().damping ?? 0;
  try {
    return await withScratch(kernels, async (alloc) => {
      const H = matrix(c, c, alloc(c * c, "f64"));
      await writeShared(shared, H, ctx);
      const [dense, b] = [0, 0].map(() => matrix(count, c, alloc(count * c, "f64"))) as [Mat, Mat];
      dense.data.set(w.data);
      kernels.gemm({ a: dense, b: H, out: b });
      if (gradient) for (let j = 0; j < b.data.length; j++) b.data[j]! -= gradient.data[j]!;
      const mask = new Uint8Array(count * c);
      for (const j of support) mask[j] = 1;
      const what = `${who}: the curvature on the support`;
      const limits = tolerance === undefined ? {} : { tolerance };
      const rowsForm = form === "cg" ? "cg" : "auto";
      const found = await refitRows({ H, b, mask, start: dense, form: rowsForm, what, damping, ...limits }, ctx);
      const d = Float64Array.from(support, (j) => found.w.data[j]! - w.data[j]!);
      return { d, iterations: found.iterations, isExact: found.form !== "cg" };
    });
  } catch (error) {
    const isTold = isPruneError(error) && error.code === "ERR_SINGULAR";
    if (!isTold || options.singular === "refuse") throw error;
    return undefined;
  }
}

/** Where the curvature has products with H alone: conjugate gradients on H_SS d = (H w_P)_S - g_S. */
async function refitByApply(
  spec: { problem: Problem; support: Uint32Array; ranges: readonly BlockRange[] },
  options: RefitOptions,
  ctx: RunContext,
): Promise<BlocksRefit> {
  const { problem, support, ranges } = spec;
  const { curvature, gradient, w } = problem;
  const dtype = dtypeOf(w.data);
  const { tolerance = dtype === "f64" ? 1e-12 : 1e-6, maxIterations = 1000 } = options;
  const [full, image] = [zeros(w.cols, dtype), zeros(w.cols, dtype)];
  const diagonal = curvature.diagonal();
  const d = new Float64Array(support.length);
  let [first, iterations] = [0, 0];
  for (const { start, end } of ranges) {
    const kept = support.subarray(first).filter((j) => j < end);
    const x = d.subarray(first, first + kept.length);
    full.fill(0);
    full.set(w.data.subarray(start, end), start);
    for (const j of kept) full[j] = 0;
    await curvature.apply(full, image);
    const residual = Float64Array.from(kept, (j) => image[j]! - (gradient?.data[j] ?? 0));
    full.fill(0);
    const apply = async (from: Vec, out: Vec): Promise<void> => {
      for (let s = 0; s < kept.length; s++) full[kept[s]!] = from[s]!;
      await curvature.apply(full, image);
      for (let s = 0; s < kept.length; s++) out[s] = image[kept[s]!]!;
    };
    const limits = { tolerance, maxIterations, rounding: dtype === "f64" ? 2 ** -52 : 2 ** -23 };
    const own = Float64Array.from(kept, (j) => diagonal[j]!);
    iterations += (await conjugateGradients({ x, residual, diagonal: own, apply, ...limits }, ctx)).iterations;
    first += kept.length;
  }
  return { d, iterations, isExact: false };
}
