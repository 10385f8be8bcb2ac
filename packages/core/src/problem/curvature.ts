/**
 * What is H? The local model of the loss, Q(w) = sum over rows of 1/2 d'Hd + g'd with d = w - w0, needs H only through
 * the views below. H is the Hessian of the mean loss; damping is added by the estimator and never rescaled in a solver.
 */
import { type Dtype, type Mat, matrix, type Vec } from "./matrix.ts";

/**
 * The curvature H [dim, dim] shared by all rows of a problem: symmetric, positive semi-definite.
 * A capability is the presence of a view: a solver declares which it needs and the runner checks before it starts.
 */
export interface Curvature {
  readonly dim: number;
  /** H_jj [dim]; a fresh or shared vector, not to be written to. */
  diagonal(): Vec;
  /** out = H x, both [dim]. f64 vectors are computed in f64. */
  apply(x: Vec, out: Vec): void | Promise<void>;
  /** H = scale * G'G + damping * I, behind products with G. */
  factor?(): FactorView;
  /** Dense H [dim, dim]. */
  gram?(): Mat;
  /** 1/2 the sum of d'Hd over the rows d of D [rows, dim], in f64. Present where that takes less than a product with H a row. */
  energy?(D: Mat): number | Promise<number>;
  /** Of a layer's inputs x, with H the mean of x x': the mean of x [dim]; not to be written to. */
  means?(): Vec;
  /** Diagonal blocks; H is zero outside them. */
  blocks?(): readonly CurvatureBlock[];
  /**
   * H^-1; with `support` (flat indices, ascending) the inverse of H[support, support], which is what OBS needs once other
   * weights are pruned. Set up afresh by every call: release it.
   */
  inverse?(support?: Uint32Array): InverseView | Promise<InverseView>;
}

/** One diagonal block of H, covering the flat indices start .. start + size - 1. */
export interface CurvatureBlock {
  readonly start: number;
  readonly size: number;
  readonly curvature: Curvature;
}

/**
 * Gradient rows G [rows, dim] behind products: dense, factored (outer products), blocked, on disk or on a GPU.
 * H = scale * G'G + damping * I. Products follow the dtype of `x` / `u`: over stored rows f64 vectors are accumulated in f64.
 */
export interface FactorView {
  /** n, the number of gradient rows */
  readonly rows: number;
  /** p, the number of weights */
  readonly dim: number;
  /** usually 1 / rows */
  readonly scale: number;
  /** the ridge added to H, >= 0 */
  readonly damping: number;
  /** The dtype the rows are stored in. */
  readonly dtype: Dtype;
  /** What one product costs, in multiply-adds on numbers streamed from memory: rows * dim for stored rows, less for factored ones. */
  readonly productCost: number;
  /** G [rows, dim] where it is kept as one matrix, not to be written to; a view that changes its columns leaves it out. */
  readonly stored?: Mat;
  /** out [rows] = G x, x [dim] */
  times(x: Vec, out: Vec): void | Promise<void>;
  /** out [dim] = G'u, u [rows] */
  transposeTimes(u: Vec, out: Vec): void | Promise<void>;
  /** out [dim] = G'G x. Present where that takes less than a product with G and one with G'. */
  gramTimes?(x: Vec, out: Vec): void | Promise<void>;
  /** G G' [rows, rows] f32 or f64, a fresh matrix. Absent where rows are too many to meet each other. */
  rowGram?(): Mat | Promise<Mat>;
  /** out [rows, support.length] = G[:, support], in the dtype of the rows; support ascending. Absent where rows exist only as products. */
  columns?(support: Uint32Array, out: Mat): void | Promise<void>;
  /**
   * out [c, c] = G[:, support]'G[:, support], in the dtype of the rows; support ascending. For views without `columns` whose
   * rows can be met by few columns at a time.
   */
  columnGram?(support: Uint32Array, out: Mat): void | Promise<void>;
  /** Multiply-adds behind one entry of `columnGram`; default `rows`. */
  readonly columnGramCost?: number;
  /** The view over G[:, support] (support ascending), where it has products of its own that are cheaper. Release it. */
  restricted?(support: Uint32Array): FactorView & { release(): void };
  /** ||G_j||^2 [dim] f64; shared, not to be written to */
  columnNormsSquared(): Float64Array;
}

/** The inverse of H, or of a principal block of it, behind products: indices count within the support it was made for. */
export interface InverseView {
  /** Number of weights it was made for. */
  readonly dim: number;
  /** [H^-1]_jj [dim] */
  diagonal(): Float64Array | Promise<Float64Array>;
  /** out = H^-1 e_j, both [dim] */
  column(j: number, out: Vec): void | Promise<void>;
  /** out = H^-1 x, both [dim] */
  apply(x: Vec, out: Vec): void | Promise<void>;
  /** H^-1[chosen, chosen], chosen ascending, f64 */
  block(chosen: Uint32Array): Mat | Promise<Mat>;
  /** Frees what lives in kernel memory. */
  release(): void;
}

/** The optional and mandatory views a solver may ask for. */
export type CurvatureView = "diagonal" | "apply" | "factor" | "gram" | "blocks" | "inverse";

/** H = I over `dim` weights: the curvature under which the best mask is the largest magnitudes. */
export function identityCurvature(dim: number): Curvature {
  return {
    dim,
    diagonal: () => new Float32Array(dim).fill(1),
    apply: (x, out) => out.set(x),
  };
}

/** H = I over `dim` weights with every view of a factor of no curvature at all: what is left where every gradient is 0. */
export function dampingAlone(dim: number): Curvature {
  const view = (size: number): FactorView => ({
    ...{ rows: 1, dim: size, scale: 1, damping: 1, dtype: "f64", productCost: 1 },
    times: (_, out) => void out.fill(0),
    transposeTimes: (_, out) => void out.fill(0),
    rowGram: () => matrix(1, 1, new Float64Array(1)),
    columns: (_, out) => void out.data.fill(0),
    columnGram: (_, out) => void out.data.fill(0),
    restricted: (support) => ({ ...view(support.length), release() {} }),
    columnNormsSquared: () => new Float64Array(size),
  });
  return { ...factorCurvature(view(dim)), inverse: (support) => identityInverse(support?.length ?? dim) };
}

function identityInverse(dim: number): InverseView {
  return {
    dim,
    diagonal: () => new Float64Array(dim).fill(1),
    column(j, out) {
      out.fill(0);
      out[j] = 1;
    },
    apply: (x, out) => void out.set(x),
    block: ({ length }) =>
      matrix(
        length,
        length,
        Float64Array.from({ length: length ** 2 }, (_, e) => (e % (length + 1) === 0 ? 1 : 0)),
      ),
    release() {},
  };
}

/**
 * The curvature of a factor view: H = scale G'G + damping I.
 * `apply` costs one product with G and one with G'.
 */
export function factorCurvature(view: FactorView): Curvature {
  let diagonal: Float64Array | undefined;
  return {
    dim: view.dim,
    diagonal: () => {
      diagonal ??= view.columnNormsSquared().map((norm) => view.scale * norm + view.damping);
      return diagonal;
    },
    async apply(x, out) {
      const product = x instanceof Float64Array ? new Float64Array(view.rows) : new Float32Array(view.rows);
      await view.times(x, product);
      await view.transposeTimes(product, out);
      for (let j = 0; j < view.dim; j++) out[j] = view.scale * out[j]! + view.damping * x[j]!;
    },
    factor: () => view,
  };
}
