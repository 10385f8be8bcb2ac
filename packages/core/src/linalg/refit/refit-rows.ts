/**
 * The best weights of many rows that share one explicit H, each on a support S of its own (layer-wise pruning: a row an output):
 *   minimise 1/2 w'Hw - b'w over w that are 0 outside S,   H[S,S] w_S = b_S,   b = H w0 - g.
 * Three ways to the same w, all in f64:
 *   kept     Cholesky of H[S,S] for every support, k^3 / 6 multiply-adds with k = |S|;
 *   pruned   the joint OBS update from F = H^-1 (Hassibi and Stork 1993, for several weights at once): with l = F[P,P]^-1 (F b)_P
 *            on the m pruned weights P, w = F (b - l): m^3 / 6, which is less where more is kept than pruned;
 *   cg       conjugate gradients on all rows at once, a product of matrices a step: for rows too long to be factored one by one.
 * Rows with the same support share its factor.
 */
import { type Mask, type Mat, matrix, type Vec } from "../../problem/matrix.ts";
import type { RunContext } from "../../run-context.ts";
import { diagonalOf, factorize, invertSpd, solveFactored } from "../cholesky.ts";
import { type CgStatus, conjugateGradients } from "../conjugate-gradients.ts";
import { withScratch } from "../with-scratch.ts";
import { usualIterations } from "./refit-form.ts";

/** How the rows are solved; "auto" takes the form of fewest multiply-adds. */
export type RowsRefitForm = "auto" | "kept" | "pruned" | "cg";

/** Rows of weights that share H. */
export interface RowsRefitSpec {
  /** H [c, c] f64, symmetric positive definite; not changed. */
  readonly H: Mat;
  /** b = H w0 - g [rows, c] f64, for the minimiser of 1/2 d'Hd + g'd with d = w - w0; not changed. */
  readonly b: Mat;
  /** 1 = kept [rows * c]. */
  readonly mask: Mask;
  /** Where conjugate gradients start [rows, c] f64, read on the mask alone; default 0. Not changed. */
  readonly start?: Mat;
  /** Default "auto". */
  readonly form?: RowsRefitForm;
  /** Residual of conjugate gradients, relative to b, at which a row is done; default 1e-10. */
  readonly tolerance?: number;
  /** Of conjugate gradients; default 1000. */
  readonly maxIterations?: number;
  /** What H is, for the message of an error; default "the curvature on the support". */
  readonly what?: string;
  /** The damping on H's diagonal, for the message of an error; default 0. */
  readonly damping?: number;
}

/** What a re-fit of rows gives. */
export interface RowsRefit {
  /** [rows, c] f64, 0 where the mask is. */
  readonly w: Mat;
  readonly form: Exclude<RowsRefitForm, "auto">;
  /** Of conjugate gradients; 0 for a factorisation. */
  readonly iterations: number;
  /** "exact" for a factorisation. */
  readonly status: CgStatus | "exact";
}

/**
 * Re-fits every row on its support. Memory: 8 (c^2 + rows c) bytes of kernel memory for factorisations, 40 rows c for
 * conjugate gradients.
 *
 * @throws ERR_SINGULAR naming the row, the pivot within its support and the damping; ERR_ABORTED
 * @example
 * const { w } = await refitRows({ H, b: timesH(w0), mask }, ctx);
 */
export async function refitRows(spec: RowsRefitSpec, ctx: RunContext): Promise<RowsRefit> {
  const groups = groupBySupport(spec.mask, spec.b);
  const form = spec.form === undefined || spec.form === "auto" ? cheapestForm(groups, spec.b) : spec.form;
  switch (form) {
    case "kept":
      return { w: await solveKept(spec, groups, ctx), form, iterations: 0, status: "exact" };
    case "pruned":
      return { w: await solvePruned(spec, groups, ctx), form, iterations: 0, status: "exact" };
    case "cg":
      return { ...(await solveByProducts(spec, ctx)), form };
    default:
      return form satisfies never;
  }
}

/** Rows that keep the same weights. */
interface Group {
  readonly rows: readonly number[];
  readonly mask: Mask;
  /** Number of kept weights. */
  readonly kept: number;
}

function groupBySupport(mask: Mask, { rows, cols }: Mat): readonly Group[] {
  const decoder = new TextDecoder();
  const groups = new Map<string, { rows: number[]; mask: Mask; kept: number }>();
  for (let row = 0; row < rows; row++) {
    const own = mask.subarray(row * cols, (row + 1) * cols);
    const key = decoder.decode(own);
    const known = groups.get(key);
    if (known) known.rows.push(row);
    else groups.set(key, { rows: [row], mask: own, kept: own.reduce((sum, bit) => sum + bit, 0) });
  }
  return [...groups.values()];
}

function cheapestForm(groups: readonly Group[], { rows, cols }: Mat): Exclude<RowsRefitForm, "auto"> {
  // All in multiply-adds: k^3 / 6 a Cholesky factorisation, k^2 the solves of a row with it, c^3 / 2 an inverse, rows c^2 a product.
  const solved = (sizeOf: (group: Group) => number): number =>
    groups.reduce((sum, group) => sum + sizeOf(group) ** 3 / 6 + group.rows.length * sizeOf(group) ** 2, 0);
  const kept = solved((group) => group.kept);
  const pruned = solved((group) => cols - group.kept) + cols ** 3 / 2 + 2 * rows * cols ** 2;
  const cg = usualIterations * rows * cols ** 2;
  if (cg < kept && cg < pruned) return "cg";
  return kept <= pruned ? "kept" : "pruned";
}

function solveKept(spec: RowsRefitSpec, groups: readonly Group[], ctx: RunContext): Promise<Mat> {
  return solveBlocks({ ...spec, groups, bit: 1 }, ctx);
}

function solvePruned(spec: RowsRefitSpec, groups: readonly Group[], ctx: RunContext): Promise<Mat> {
  const { H, b, mask, what = usualWhat, damping = 0 } = spec;
  const { kernels } = ctx;
  return withScratch(kernels, async (alloc) => {
    const F = { ...H, data: alloc(H.data.length, "f64") };
    F.data.set(H.data);
    invertSpd({ H: F, what, damping, kernels });
    const dense = { ...b, data: alloc(b.data.length, "f64") };
    kernels.gemm({ a: b, b: F, out: dense });
    const push = await solveBlocks({ ...spec, H: F, b: dense, groups, bit: 0 }, ctx);
    for (let i = 0; i < push.data.length; i++) push.data[i] = b.data[i]! - push.data[i]!;
    const w = matrix(b.rows, b.cols, new Float64Array(b.data.length));
    kernels.gemm({ a: push, b: F, out: w });
    // There it is 0 but for rounding.
    for (let i = 0; i < w.data.length; i++) if (mask[i] === 0) w.data[i] = 0;
    return w;
  });
}

/** x [rows, c] with H[T, T] x_T = b_T on the places T where a row's mask holds `bit`, 0 elsewhere. */
function solveBlocks(
  spec: Pick<RowsRefitSpec, "H" | "b" | "what" | "damping"> & { groups: readonly Group[]; bit: 0 | 1 },
  ctx: RunContext,
): Promise<Mat> {
  const { H, b, groups, bit, what = usualWhat, damping = 0 } = spec;
  const { cols } = b;
  const { kernels } = ctx;
  const sizes = groups.map(({ kept }) => (bit === 1 ? kept : cols - kept));
  const x = matrix(b.rows, cols, new Float64Array(b.data.length));
  return withScratch(kernels, async (alloc) => {
    const scratch = alloc(Math.max(0, ...sizes) ** 2, "f64");
    for (const [index, { rows, mask }] of groups.entries()) {
      const size = sizes[index]!;
      const places = Uint32Array.from(mask.keys()).filter((j) => mask[j] === bit);
      const block = matrix(size, size, scratch.subarray(0, size * size));
      gatherBlock(H, places, block);
      factorize({ H: block, what: `${what} of row ${rows[0]}`, damping, kernels });
      const right = matrix(size, rows.length, new Float64Array(size * rows.length));
      for (const [r, row] of rows.entries()) {
        for (let s = 0; s < size; s++) right.data[s * right.cols + r] = b.data[row * cols + places[s]!]!;
      }
      solveFactored(block, right, kernels);
      for (const [r, row] of rows.entries()) {
        for (let s = 0; s < size; s++) x.data[row * cols + places[s]!] = right.data[s * right.cols + r]!;
      }
      await ctx.tick({ task: "solve", done: index + 1, total: groups.length });
    }
    return x;
  });
}

const usualWhat = "the curvature on the support";

/** out [t, t] = H[places, places] */
export function gatherBlock(H: Mat, places: Uint32Array, out: Mat): void {
  for (let s = 0, entry = 0; s < places.length; s++) {
    const row = places[s]! * H.cols;
    for (let t = 0; t < places.length; t++) out.data[entry++] = H.data[row + places[t]!]!;
  }
}

function solveByProducts(spec: RowsRefitSpec, ctx: RunContext): Promise<Omit<RowsRefit, "form">> {
  const { H, b, mask, start, tolerance = 1e-10, maxIterations = 1000 } = spec;
  const { rows, cols } = b;
  const { kernels } = ctx;
  const diagonal = diagonalOf(H);
  const reference = new Float64Array(rows);
  return withScratch(kernels, async (alloc) => {
    const [x, residual] = [alloc(b.data.length, "f64"), alloc(b.data.length, "f64")];
    const apply = (from: Vec, out: Vec): void => {
      kernels.gemm({ a: matrix(rows, cols, from), b: H, out: matrix(rows, cols, out) });
      for (let i = 0; i < out.length; i++) if (mask[i] === 0) out[i] = 0;
    };
    if (start) for (let i = 0; i < x.length; i++) x[i] = mask[i]! * start.data[i]!;
    apply(x, residual);
    for (let i = 0; i < x.length; i++) {
      if (mask[i] === 0) continue;
      residual[i] = b.data[i]! - residual[i]!;
      reference[Math.floor(i / cols)]! += b.data[i]! ** 2 / diagonal[i % cols]!;
    }
    const { iterations, status } = await conjugateGradients(
      { rows, x, residual, diagonal, apply, tolerance, reference, maxIterations },
      ctx,
    );
    return { w: matrix(rows, cols, Float64Array.from(x)), iterations, status };
  });
}
