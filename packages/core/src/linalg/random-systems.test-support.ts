import { Matrix } from "ml-matrix";
import { keepCount } from "../budget/constraint.ts";
import { weightUnits } from "../budget/units.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { referenceKernels as kernels } from "../kernels/reference-kernels.ts";
import { type FactorView, factorCurvature } from "../problem/curvature.ts";
import { type Dtype, type Mat, matrix, type Vec } from "../problem/matrix.ts";
import type { Problem } from "../problem/problem.ts";
import { createRng } from "../rng.ts";
import { addToDiagonal } from "./cholesky.ts";

/** Standard normals [length] f64. */
export function normals(length: number, seed: number | string): Float64Array {
  const rng = createRng(seed);
  return Float64Array.from({ length }, () => rng.normal());
}

/** Normal gradient rows [rows, size] f64. */
export function gradientRows(spec: { rows: number; size: number; seed: number | string }): Mat {
  return matrix(spec.rows, spec.size, normals(spec.rows * spec.size, spec.seed));
}

/** G'G / n + damping I */
export function symmetric(G: Mat, damping: number): Mat {
  const H = matrix(G.cols, G.cols, new Float64Array(G.cols ** 2));
  kernels.gram({ a: G, transpose: true, out: H, alpha: 1 / G.rows });
  addToDiagonal(H, damping);
  return H;
}

/** The same numbers for the independent oracle. */
export function toMlMatrix({ rows, cols, data }: Mat): Matrix {
  return Matrix.from1DArray(rows, cols, data);
}

/** A view over rows in memory, H = G'G / n + damping I, with all that a view may offer. */
export function denseView(G: Mat, damping: number): FactorView & Required<Pick<FactorView, "columns" | "rowGram">> {
  const { rows, cols } = G;
  const dtype: Dtype = G.data instanceof Float64Array ? "f64" : "f32";
  const wide = matrix(rows, cols, Float64Array.from(G.data));
  const product = (x: Vec, out: Vec, transpose: boolean): void => {
    const result = new Float64Array(out.length);
    kernels.gemv({ a: wide, x: Float64Array.from(x), out: result, transpose });
    out.set(result);
  };
  return {
    ...{ rows, dim: cols, scale: 1 / rows, damping, dtype, productCost: rows * cols },
    times: (x, out) => product(x, out, false),
    transposeTimes: (u, out) => product(u, out, true),
    columns: (support, out) => kernels.gatherColumns(G, support, out),
    rowGram() {
      const out = matrix(rows, rows, kernels.alloc(rows * rows, dtype));
      kernels.gram({ a: G, out });
      return out;
    },
    columnNormsSquared: () =>
      Float64Array.from({ length: cols }, (_, j) => {
        let sum = 0;
        for (let i = 0; i < rows; i++) sum += wide.data[i * cols + j]! ** 2;
        return sum;
      }),
  };
}

/** The same view with Gram matrices of columns in place of columns, as a Gauss-Newton matrix has them. */
export function withoutColumns(view: ReturnType<typeof denseView>): FactorView {
  const { columns, rowGram: _, ...products } = view;
  return {
    ...products,
    columnGram(support, out) {
      const G = matrix(view.rows, support.length, kernels.alloc(view.rows * support.length, view.dtype));
      columns(support, G);
      kernels.gram({ a: G, transpose: true, out });
    },
  };
}

/** A random problem of some rows of weights and one curvature, with a slope unless `slope` is false. */
export function randomProblem(spec: {
  n: number;
  p: number;
  rows?: number;
  ridge?: number;
  slope?: boolean;
  dtype?: Dtype;
  seed?: number | string;
  G?: Mat;
}): Problem & { readonly G: Mat } {
  const { n, p, rows = 1, ridge = 0.1, slope = true, dtype = "f64", seed = 0 } = spec;
  const cast = (values: Vec): Vec => (dtype === "f64" ? Float64Array.from(values) : Float32Array.from(values));
  const G = spec.G ?? gradientRows({ rows: n, size: p, seed: `rows ${seed}` });
  const view = denseView({ ...G, data: cast(G.data) }, ridge);
  return {
    G,
    id: "test",
    w: matrix(rows, p, cast(normals(rows * p, `weights ${seed}`))),
    curvature: factorCurvature(view),
    ...(slope
      ? { gradient: matrix(rows, p, cast(normals(rows * p, `slope ${seed}`).map((value) => 0.1 * value))) }
      : {}),
    units: weightUnits(rows * p),
    constraint: keepCount({ count: rows * p, keep: 1 }),
  };
}

/** Kernels that know what was allocated and not freed. */
export function countingKernels(): { kernels: Kernels; held: Set<Vec> } {
  const held = new Set<Vec>();
  const counting: Kernels = {
    ...kernels,
    alloc(length, dtype) {
      const vector = kernels.alloc(length, dtype);
      held.add(vector);
      return vector;
    },
    free: (vector) => held.delete(vector),
  };
  return { kernels: counting, held };
}
