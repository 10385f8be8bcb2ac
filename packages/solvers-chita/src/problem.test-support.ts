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
  weightUnits,
} from "@secateur/core";
import { denseFactor } from "@secateur/fisher";

/** A random problem: rows [n, p] and weights of standard normals, H = G'G / n + ridge I. */
export function randomProblem(spec: {
  n: number;
  p: number;
  keep: number;
  ridge?: number;
  firstOrder?: boolean;
  seed?: number | string;
  dtype?: "f32" | "f64";
  constraint?: Constraint;
}): Problem {
  const { n, p, keep, ridge = 0.01, firstOrder = false, seed = 0, dtype = "f64" } = spec;
  const rng = createRng(seed);
  const numbers = (length: number): Float32Array | Float64Array => {
    const values = Float64Array.from({ length }, () => rng.normal());
    return dtype === "f64" ? values : Float32Array.from(values);
  };
  const rows = matrix(n, p, numbers(n * p));
  const w = matrix(1, p, numbers(p));
  return problemFrom({ rows, w, keep, ridge, firstOrder });
}

/** The problem of given rows and weights; with `firstOrder`, g is the mean row. */
export function problemFrom(spec: { rows: Mat; w: Mat; keep: number; ridge: number; firstOrder?: boolean }): Problem {
  const { rows, w, keep, ridge } = spec;
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
    constraint: keepCount({ count: w.cols, keep }),
  };
}

/** The dense H [p, p] of a problem, column by column. */
export async function denseHessian(problem: Problem): Promise<Mat> {
  const p = problem.w.cols;
  const H = matrix(p, p, new Float64Array(p * p));
  const unit = new Float64Array(p);
  for (let j = 0; j < p; j++) {
    unit.fill(0)[j] = 1;
    await problem.curvature.apply(unit, H.data.subarray(j * p, (j + 1) * p) as Float64Array);
  }
  return H;
}

/** The exact minimiser of Q on a support, by Gaussian elimination with pivoting: the oracle of the re-fits. */
export async function exactOn(
  problem: Problem,
  columns: readonly number[],
  H: Mat,
): Promise<{ w: Mat; value: number }> {
  const p = problem.w.cols;
  const w0 = problem.w.data;
  const kept = new Set(columns);
  // Free d_S; d_P = -w0_P: H_SS d_S = -(g_S + H_SP d_P).
  const right = columns.map((i) => {
    let sum = -(problem.gradient?.data[i] ?? 0);
    for (let j = 0; j < p; j++) if (!kept.has(j)) sum += H.data[i * p + j]! * w0[j]!;
    return sum;
  });
  const d = eliminate(
    columns.map((i) => columns.map((j) => H.data[i * p + j]!)),
    right,
  );
  const w = matrix(1, p, new Float64Array(p));
  columns.forEach((j, s) => {
    w.data[j] = w0[j]! + d[s]!;
  });
  return { w, value: await objective(problem, w) };
}

/** The best support of k weights, by trying all of them. */
export async function bruteForce(problem: Problem, keep: number): Promise<number> {
  const H = await denseHessian(problem);
  let best = Number.POSITIVE_INFINITY;
  for (const columns of subsets(problem.w.cols, keep))
    best = Math.min(best, (await exactOn(problem, columns, H)).value);
  return best;
}

function* subsets(size: number, count: number, first = 0): Generator<number[]> {
  if (count === 0) {
    yield [];
    return;
  }
  for (let j = first; j <= size - count; j++) for (const rest of subsets(size, count - 1, j + 1)) yield [j, ...rest];
}

function eliminate(A: number[][], b: number[]): number[] {
  const n = b.length;
  for (let c = 0; c < n; c++) {
    let pivot = c;
    for (let r = c + 1; r < n; r++) if (Math.abs(A[r]![c]!) > Math.abs(A[pivot]![c]!)) pivot = r;
    [A[c], A[pivot]] = [A[pivot]!, A[c]!];
    [b[c], b[pivot]] = [b[pivot]!, b[c]!];
    for (let r = c + 1; r < n; r++) {
      const factor = A[r]![c]! / A[c]![c]!;
      for (let j = c; j < n; j++) A[r]![j]! -= factor * A[c]![j]!;
      b[r]! -= factor * b[c]!;
    }
  }
  const x = new Array<number>(n).fill(0);
  for (let r = n - 1; r >= 0; r--) {
    let sum = b[r]!;
    for (let j = r + 1; j < n; j++) sum -= A[r]![j]! * x[j]!;
    x[r] = sum / A[r]![r]!;
  }
  return x;
}
