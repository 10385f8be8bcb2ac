/**
 * Preconditioned conjugate gradients (Hestenes and Stiefel 1952) for H x = b, H symmetric positive semi-definite and known by
 * its products alone; several right-hand sides, each with its own step lengths, share every product. With M = diag(H):
 *   z = M^-1 r,   alpha = r'z / s'Hs,   x += alpha s,   r -= alpha H s,   s = z + (r'z / previous r'z) s.
 * x never lets 1/2 x'Hx - b'x rise. A direction s along which H has only the curvature that rounding leaves ends the search: a
 * step along it would have no bounds, and where H is singular every minimiser differs from the others by such directions.
 */
import { plainView } from "../kernels/plain-view.ts";
import { dtypeOf, matrix, type Vec, zeros } from "../problem/matrix.ts";
import { quietContext, type RunContext } from "../run-context.ts";
import { withScratch } from "./with-scratch.ts";

/** "flat": H has no curvature along what is left of a residual. */
export type CgStatus = "converged" | "max-iterations" | "flat";

/** Systems H x = b with one H. */
export interface CgSystem {
  /** How many systems; default 1. */
  readonly rows?: number;
  /** Where to start [rows * size]; becomes the solution, in place. */
  readonly x: Vec;
  /** b - H x [rows * size] at the start, in the dtype that the recurrences run in, x's; overwritten. */
  readonly residual: Vec;
  /** H_jj [size], shared by all rows; entries that are not positive count as 1: without curvature there is no slope either. */
  readonly diagonal: Float64Array;
  /** out = H x, both [rows * size]. */
  apply(x: Vec, out: Vec): void | Promise<void>;
  /** The relative residual sqrt(r'M^-1 r / reference) at which a row is done. */
  readonly tolerance: number;
  /** r'M^-1 r that residuals are measured by, one a row; default: what each is at the start. */
  readonly reference?: Float64Array;
  readonly maxIterations: number;
  /** Curvature s'Hs below this fraction of s'Ms is only rounding; default 2^-52 for f64 vectors, 2^-23 for f32. */
  readonly rounding?: number;
}

/** How conjugate gradients ended; the solution is in `x`. */
export interface CgResult {
  readonly iterations: number;
  /** "max-iterations" or "flat" when any row ended so, the former first. */
  readonly status: CgStatus;
}

/**
 * Solves in place. One product an iteration, three vectors [rows * size] of kernel memory. An abort is heard in every iteration; progress is
 * the caller's to report.
 */
export async function conjugateGradients(system: CgSystem, ctx: RunContext): Promise<CgResult> {
  const { rows = 1, x, residual, tolerance, maxIterations, diagonal } = system;
  const { kernels } = ctx;
  const dtype = dtypeOf(residual);
  const rounding = system.rounding ?? (dtype === "f64" ? 2 ** -52 : 2 ** -23);
  const size = residual.length / rows;
  const quiet = quietContext(ctx);
  return withScratch(kernels, async (alloc) => {
    const [z, direction, product] = [0, 0, 0].map(() => alloc(residual.length, dtype)) as [Vec, Vec, Vec];
    // In f64: beyond f32 where a layer was never active.
    const inverse = diagonal.map((value) => (value > 0 ? 1 / value : 1));
    const systems = Array.from({ length: rows }, (_, row) => {
      const own = (vector: Vec): Vec => vector.subarray(row * size, (row + 1) * size);
      return { x: own(x), r: own(residual), z: own(z), s: own(direction), Hs: own(product), rho: 0, isFlat: false };
    });
    const precondition = (row: { readonly r: Vec; readonly z: Vec }): number => {
      multiplied(inverse, plainView(row.r), plainView(row.z));
      return kernels.dot(row.r, row.z);
    };
    const factor = zeros(1, dtype);
    /** s = z + beta s */
    const turn = (beta: number, row: { readonly z: Vec; readonly s: Vec }): void => {
      factor[0] = beta;
      const s = matrix(1, size, row.s);
      kernels.scaleRows(s, factor, s);
      kernels.axpy(1, row.z, row.s);
    };
    for (const row of systems) row.rho = precondition(row);
    direction.set(z);
    const target = systems.map(({ rho }, i) => tolerance ** 2 * (system.reference?.[i] ?? rho));
    const open = () => systems.filter(({ rho, isFlat }, i) => !isFlat && rho > target[i]! && rho > 0);
    let iterations = 0;
    for (let left = open(); left.length > 0 && iterations < maxIterations; left = open()) {
      await system.apply(direction, product);
      let moved = false;
      for (const row of left) {
        const bend = kernels.dot(row.s, row.Hs);
        row.isFlat = !(bend > rounding * weightedSquares(plainView(row.s), inverse));
        if (row.isFlat) continue;
        moved = true;
        const alpha = row.rho / bend;
        kernels.axpy(alpha, row.s, row.x);
        kernels.axpy(-alpha, row.Hs, row.r);
        const next = precondition(row);
        const beta = next / row.rho;
        turn(beta, row);
        row.rho = next;
      }
      if (!moved) break;
      iterations++;
      await quiet.tick({ task: "solve", done: iterations });
    }
    if (open().length > 0) return { iterations, status: "max-iterations" };
    return { iterations, status: systems.some(({ isFlat }) => isFlat) ? "flat" : "converged" };
  });
}

/** out = a .* x */
function multiplied(a: Float64Array, x: Vec, out: Vec): void {
  for (let j = 0; j < a.length; j++) out[j] = a[j]! * x[j]!;
}

/** sum of x_j^2 / inverse_j */
function weightedSquares(x: Vec, inverse: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < x.length; j++) sum += x[j]! ** 2 / inverse[j]!;
  return sum;
}
