/** Exact answers to tiny problems, by trying every mask and eliminating. */
import { keptWeights, type Mask, type Mat, matrix, objective, type Problem } from "@secateur/core";
import { solveDense } from "../linear-algebra.ts";
import { budgetSize } from "./budgets.ts";

/** A mask, the best weights on it, and Q there. */
export interface Optimum {
  /** [units.count] */
  readonly mask: Mask;
  /** [rows, cols] f64, zeros where the mask is 0. */
  readonly w: Mat;
  /** Q(w), in nats */
  readonly objective: number;
}

/** H [cols, cols] in f64, column by column through `apply`. */
export async function denseHessian({ curvature, w: { cols } }: Problem): Promise<Mat> {
  const H = matrix(cols, cols, new Float64Array(cols * cols));
  const unit = new Float64Array(cols);
  for (let j = 0; j < cols; j++) {
    unit.fill(0)[j] = 1;
    await curvature.apply(unit, H.data.subarray(j * cols, (j + 1) * cols));
  }
  return H;
}

/**
 * The minimiser of Q over weights with zeros where the mask is 0, row by row: d_P = -w_P, H_SS d_S = -(g_S + H_SP d_P).
 *
 * @param mask - [units.count]
 * @param H - [cols, cols] f64
 * @returns undefined when H_SS is singular
 */
export async function minimiserOn(problem: Problem, mask: Mask, H: Mat): Promise<Optimum | undefined> {
  const { w: w0, gradient, units } = problem;
  const { rows, cols } = w0;
  const isKept = new Uint8Array(rows * cols);
  for (const index of keptWeights(units, mask)) isKept[index] = 1;
  const w = matrix(rows, cols, new Float64Array(rows * cols));
  for (let r = 0; r < rows; r++) {
    const kept = Array.from({ length: cols }, (_, j) => j).filter((j) => isKept[r * cols + j] === 1);
    const right = Float64Array.from(kept, (i) => {
      let sum = -(gradient?.data[r * cols + i] ?? 0);
      for (let j = 0; j < cols; j++)
        if (isKept[r * cols + j] === 0) sum += H.data[i * cols + j]! * w0.data[r * cols + j]!;
      return sum;
    });
    const size = kept.length;
    const onSupport = matrix(size, size, new Float64Array(size * size));
    kept.forEach((i, s) => {
      for (let t = 0; t < size; t++) onSupport.data[s * size + t] = H.data[i * cols + kept[t]!]!;
    });
    const d = solveDense(onSupport, right, 1);
    if (!d) return undefined;
    kept.forEach((j, s) => {
      w.data[r * cols + j] = w0.data[r * cols + j]! + d[s]!;
    });
  }
  return { mask, w, objective: await objective(problem, w) };
}

/** The least Q over every feasible mask of full budget, at most 2^16 of them. Needs damping > 0. */
export async function optimumOf(problem: Problem): Promise<Optimum> {
  const { units, constraint } = problem;
  if (units.count > 16) throw new RangeError(`brute force over 2^${units.count} masks; give at most 16 units`);
  const H = await denseHessian(problem);
  const full = budgetSize({ units, constraint });
  let best: Optimum | undefined;
  for (let bits = 0; bits < 2 ** units.count; bits++) {
    if (countBits(bits) !== full) continue;
    const mask = Uint8Array.from({ length: units.count }, (_, unit) => (bits >> unit) & 1);
    if (constraint.violation(mask) !== 0) continue;
    const found = await minimiserOn(problem, mask, H);
    if (found && !(best && best.objective <= found.objective)) best = found;
  }
  if (!best) throw new RangeError("no feasible mask has a minimiser; give the problem damping");
  return best;
}

function countBits(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}
