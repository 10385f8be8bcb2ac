import { countingContext, denseHessian, minimiserOn } from "@secateur/conformance";
import {
  type Constraint,
  createRng,
  factorCurvature,
  keepCount,
  type Mat,
  matrix,
  objective,
  type Problem,
  referenceKernels,
  type Vec,
  weightUnits,
} from "@secateur/core";
import { denseFactor } from "@secateur/fisher";

export { countingContext, denseHessian };

/** What may be awkward about gradient rows. */
export const rowKinds = ["plain", "zero columns", "equal columns", "rank 2", "uneven columns"] as const;

/**
 * A random problem: rows [n, p] and weights of standard normals, H = G'G / n + ridge I. Rows of a `kind` other than
 * "plain" need n >= 2 and p >= 6.
 */
export function randomProblem(spec: {
  n: number;
  p: number;
  keep: number;
  ridge?: number;
  firstOrder?: boolean;
  seed?: number | string;
  dtype?: "f32" | "f64";
  kind?: (typeof rowKinds)[number];
}): Problem {
  const { n, p, keep, ridge = 0.01, firstOrder = false, seed = 0, dtype = "f64", kind = "plain" } = spec;
  const rng = createRng(seed);
  const numbers = (length: number): Vec => {
    const values = Float64Array.from({ length }, () => rng.normal());
    return dtype === "f64" ? values : Float32Array.from(values);
  };
  const rows = matrix(n, p, numbers(n * p));
  const w = matrix(1, p, numbers(p));
  for (let i = 0; i < n; i++) makeAwkward(kind, rows, i);
  return problemFrom({ rows, w, keep, ridge, firstOrder });
}

/** Changes row i; every change is exact in f32. */
function makeAwkward(kind: (typeof rowKinds)[number], { data, cols }: Mat, i: number): void {
  const row = data.subarray(i * cols, (i + 1) * cols);
  switch (kind) {
    case "plain":
      return;
    case "zero columns":
      row[1] = row[4] = 0;
      return;
    case "equal columns":
      row[3] = row[0]!;
      row[5] = -row[2]!;
      return;
    case "rank 2":
      if (i >= 2) for (let j = 0; j < cols; j++) row[j] = (i % 2 === 0 ? 1 : -0.5) * data[(i % 2) * cols + j]!;
      return;
    case "uneven columns":
      for (let j = 0; j < cols; j++) row[j] = row[j]! * 2 ** -(j % 7);
      return;
    default:
      kind satisfies never;
  }
}

/** The problem of given rows and weights; with `firstOrder`, g is the mean row. */
export function problemFrom(spec: {
  rows: Mat;
  w: Mat;
  keep: number;
  ridge: number;
  firstOrder?: boolean;
  constraint?: Constraint;
}): Problem {
  const { rows, w, keep, ridge, constraint = keepCount({ count: w.cols, keep }) } = spec;
  const gradient = matrix(1, w.cols, w.data.slice().fill(0));
  for (let i = 0; i < rows.rows; i++) {
    for (let j = 0; j < rows.cols; j++) gradient.data[j]! += rows.data[i * rows.cols + j]! / rows.rows;
  }
  return {
    id: "test",
    w,
    curvature: factorCurvature(denseFactor({ rows, damping: ridge, kernels: referenceKernels })),
    ...(spec.firstOrder ? { gradient } : {}),
    units: weightUnits(w.cols),
    constraint,
  };
}

/** The exact minimiser of Q on a support: the oracle of the re-fits. */
export async function exactOn(
  problem: Problem,
  columns: readonly number[],
  H: Mat,
): Promise<{ w: Mat; value: number }> {
  const mask = new Uint8Array(problem.w.cols);
  for (const j of columns) mask[j] = 1;
  const found = await minimiserOn(problem, mask, H);
  if (!found) throw new Error("the curvature on the support is singular");
  return { w: found.w, value: found.objective };
}

/** The best support of k weights. */
export interface Optimum {
  /** Ascending. */
  readonly columns: readonly number[];
  /** A minimiser on it, in f64. */
  readonly w: Mat;
  /** Q there, as core computes it. */
  readonly value: number;
}

/** Below this fraction of its diagonal entry a pivot is rounding: the column depends on the ones before it. */
const dependent = 1e-11;

/**
 * The best support, by trying all of them (of the `eligible` weights, where given): a walk over the tree of subsets with
 * one row of a Cholesky factor of H_SS a step. With c = H w0 - g, Q on S is a constant minus 1/2 ||L^-1 c_S||^2. A column
 * that depends on earlier ones adds nothing, which is exact as long as g lies in the span of the rows (or damping > 0).
 */
export async function bruteForce(problem: Problem, keep: number, eligible?: Uint8Array): Promise<Optimum> {
  const p = problem.w.cols;
  const H = (await denseHessian(problem)).data;
  const c = new Float64Array(p);
  for (let i = 0; i < p; i++) {
    c[i] = -(problem.gradient?.data[i] ?? 0);
    for (let j = 0; j < p; j++) c[i]! += H[i * p + j]! * problem.w.data[j]!;
  }
  const L = new Float64Array(keep * keep);
  const z = new Float64Array(keep);
  const chosen = new Array<number>(keep).fill(0);
  let best = { gain: Number.NEGATIVE_INFINITY, columns: [] as number[], L: L.slice(), z: z.slice() };
  const visit = (depth: number, first: number, gain: number): void => {
    if (depth === keep) {
      if (gain > best.gain) best = { gain, columns: chosen.slice(), L: L.slice(), z: z.slice() };
      return;
    }
    for (let j = first; j <= p - (keep - depth); j++) {
      if (eligible?.[j] === 0) continue;
      chosen[depth] = j;
      let pivot = H[j * p + j]!;
      let right = c[j]!;
      for (let r = 0; r < depth; r++) {
        let sum = H[j * p + chosen[r]!]!;
        for (let s = 0; s < r; s++) sum -= L[depth * keep + s]! * L[r * keep + s]!;
        const entry = L[r * keep + r] === 0 ? 0 : sum / L[r * keep + r]!;
        L[depth * keep + r] = entry;
        pivot -= entry * entry;
        right -= entry * z[r]!;
      }
      const root = pivot > dependent * H[j * p + j]! ? Math.sqrt(pivot) : 0;
      L[depth * keep + depth] = root;
      z[depth] = root === 0 ? 0 : right / root;
      visit(depth + 1, j + 1, gain + 0.5 * z[depth]! ** 2);
    }
  };
  visit(0, 0, 0);
  const w = matrix(1, p, new Float64Array(p));
  for (let r = best.columns.length - 1; r >= 0; r--) {
    let sum = best.z[r]!;
    for (let s = r + 1; s < keep; s++) sum -= best.L[s * keep + r]! * w.data[best.columns[s]!]!;
    w.data[best.columns[r]!] = best.L[r * keep + r] === 0 ? 0 : sum / best.L[r * keep + r]!;
  }
  return { columns: best.columns, w, value: await objective(problem, w) };
}
