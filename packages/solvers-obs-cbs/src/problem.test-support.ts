/** Small random problems and oracles for the Brain Surgeon tests. */
import {
  type Constraint,
  createRng,
  type FactorView,
  factorCurvature,
  keepCount,
  type Mat,
  matrix,
  type Problem,
  referenceKernels,
  weightUnits,
} from "@secateur/core";
import { denseFactor, storedCurvature } from "@secateur/fisher";

export interface RandomSpec {
  readonly n: number;
  readonly p: number;
  readonly keep: number;
  readonly ridge?: number;
  readonly firstOrder?: boolean;
  readonly seed?: number | string;
  readonly constraint?: Constraint;
  /** Columns without any gradient. */
  readonly dead?: readonly number[];
}

/** Rows [n, p] and weights of standard normals in f64, H = G'G / n + ridge I with its inverse. */
export function randomProblem(spec: RandomSpec): Problem {
  const { n, p, keep, ridge = 0.05, firstOrder = false, seed = 0, dead = [] } = spec;
  const rng = createRng(seed);
  const numbers = (length: number): Float64Array => Float64Array.from({ length }, () => rng.normal());
  const rows = matrix(n, p, numbers(n * p));
  for (const j of dead) for (let i = 0; i < n; i++) rows.data[i * p + j] = 0;
  const w = matrix(1, p, numbers(p));
  return {
    id: "test",
    w,
    curvature: storedCurvature(denseFactor({ rows, damping: ridge, kernels: referenceKernels }), referenceKernels),
    ...(firstOrder
      ? {
          gradient: matrix(
            1,
            p,
            numbers(p).map((value) => 0.1 * value),
          ),
        }
      : {}),
    units: weightUnits(p),
    layers: [
      { name: "a", start: 0, size: Math.floor(p / 2) },
      { name: "b", start: Math.floor(p / 2), size: p - Math.floor(p / 2) },
    ],
    constraint: spec.constraint ?? keepCount({ count: p, keep }),
  };
}

/** The same problem, its rows met through Gram matrices of columns and restricted products alone, as a Gauss-Newton matrix has them. */
export function withoutColumns(problem: Problem): Problem {
  const { columns, rowGram: _, ...view } = problem.curvature.factor!();
  const gathered = (support: Uint32Array): Mat => {
    const A = matrix(view.rows, support.length, new Float64Array(view.rows * support.length));
    columns!(support, A);
    return A;
  };
  const bare: FactorView = {
    ...view,
    columnGram: (support, out) => referenceKernels.gram({ a: gathered(support), transpose: true, out }),
    restricted(support) {
      const { scale, damping } = view;
      return {
        ...denseFactor({ rows: gathered(support), scale, damping, kernels: referenceKernels }),
        release: () => {},
      };
    },
  };
  return { ...problem, curvature: factorCurvature(bare) };
}

/** The dense H [p, p]. */
export async function denseHessian({ curvature, w: { cols: p } }: Problem): Promise<Mat> {
  const H = matrix(p, p, new Float64Array(p * p));
  const { apply } = factorCurvature(curvature.factor!());
  for (let j = 0; j < p; j++) {
    const unit = new Float64Array(p);
    unit[j] = 1;
    await apply(unit, H.data.subarray(j * p, (j + 1) * p));
  }
  return H;
}

/** w_P' H w_P, written out. */
export function combinatorial({ w }: Problem, H: Mat, mask: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < H.rows; i++) {
    for (let j = 0; j < H.cols; j++) {
      if (mask[i] === 0 && mask[j] === 0) sum += w.data[i]! * H.data[i * H.cols + j]! * w.data[j]!;
    }
  }
  return sum;
}

/** The exact minimiser of Q on a mask, by Gaussian elimination with pivoting. */
export function exactOn({ w, gradient }: Problem, H: Mat, mask: Uint8Array): Float64Array {
  const p = w.cols;
  const kept = [...mask.keys()].filter((j) => mask[j] === 1);
  const A = kept.map((i) => kept.map((j) => H.data[i * p + j]!));
  const b = kept.map((i) => {
    let sum = -(gradient?.data[i] ?? 0);
    for (let j = 0; j < p; j++) if (mask[j] === 0) sum += H.data[i * p + j]! * w.data[j]!;
    return sum;
  });
  const d = eliminate(A, b);
  const out = new Float64Array(p);
  kept.forEach((j, s) => {
    out[j] = w.data[j]! + d[s]!;
  });
  return out;
}

/** Every mask over p weights that keeps k. */
export function* masks(p: number, keep: number): Generator<Uint8Array> {
  for (let bits = 0; bits < 2 ** p; bits++) {
    const mask = Uint8Array.from({ length: p }, (_, j) => (bits >> j) & 1);
    if (mask.reduce((sum, bit) => sum + bit, 0) === keep) yield mask;
  }
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
