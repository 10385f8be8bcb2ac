/** What is true of every solution, whatever the method. */
import {
  countKept,
  keptWeights,
  type Mask,
  type Mat,
  matrix,
  objective,
  type Problem,
  type Solution,
} from "@secateur/core";
import { ensure, ensureFinite } from "../assertions.ts";
import { budgetSize } from "./budgets.ts";

const statuses: readonly string[] = ["converged", "max-iterations", "stalled", "exact"];

/** Relative to Q of removing everything: f32 weights carry 24 bits, and Q sums squares of differences of such. */
export function objectiveTolerance({ w }: Problem): number {
  return w.data instanceof Float64Array ? 1e-9 : 2e-4;
}

/** The scale that differences in Q are measured against: |Q| of removing all weights, or of the gradient where that is 0. */
export async function objectiveScale(problem: Problem): Promise<number> {
  const { rows, cols } = problem.w;
  const value = Math.abs(await objective(problem, matrix(rows, cols, new Float64Array(rows * cols))));
  return value > 0 ? value : 1;
}

/** @throws Error unless the mask has a bit for every unit and keeps exactly what the constraint allows */
function ensureFeasible({ units, constraint }: Problem, mask: Mask, label: string): void {
  ensure(mask instanceof Uint8Array && mask.length === units.count, () => {
    return `${label}: the mask is ${mask?.constructor?.name} of ${mask?.length}, expected Uint8Array of ${units.count}`;
  });
  ensure(
    mask.every((bit) => bit <= 1),
    () => `${label}: the mask holds ${mask.find((bit) => bit > 1)}, expected 0 or 1`,
  );
  const violation = constraint.violation(mask);
  const kept = countKept(mask);
  const full = budgetSize({ units, constraint });
  ensure(
    violation === 0,
    () => `${label}: the mask keeps ${kept} units and breaks '${constraint.kind}' by ${violation}`,
  );
  ensure(kept === full, () => `${label}: the mask keeps ${kept} units, expected ${full}, the whole budget`);
}

/** @throws Error unless weights have the problem's shape, are finite, and are zero where the mask is 0 */
export function ensureMasked(problem: Problem, { w, mask }: { w: Mat; mask: Mask }, label: string): void {
  const { rows, cols } = problem.w;
  ensure(w.rows === rows && w.cols === cols && w.data.length === rows * cols, () => {
    return `${label}: weights are ${w.rows} x ${w.cols} (${w.data.length} numbers), expected ${rows} x ${cols}`;
  });
  ensureFinite(w.data, `${label}: weights`);
  const isKept = new Uint8Array(rows * cols);
  for (const index of keptWeights(problem.units, mask)) isKept[index] = 1;
  const stray = w.data.findIndex((value, index) => value !== 0 && isKept[index] === 0);
  ensure(stray < 0, () => `${label}: weight ${stray} is ${w.data[stray]} where the mask is 0, expected 0`);
}

/** @throws Error unless the solution is feasible, masked, and says of itself what is true */
export async function ensureSolution(problem: Problem, solution: Solution, label: string): Promise<void> {
  ensureFeasible(problem, solution.mask, label);
  ensureMasked(problem, solution, label);
  const value = await objective(problem, solution.w);
  const slack = objectiveTolerance(problem) * Math.max(await objectiveScale(problem), Math.abs(value));
  ensure(Math.abs(solution.objective - value) <= slack, () => {
    return `${label}: reports the objective ${solution.objective}, its weights have ${value}; compute it with 'objective' of core`;
  });
  ensure(
    statuses.includes(solution.status),
    () => `${label}: status '${solution.status}', expected ${statuses.join(", ")}`,
  );
  ensure(
    typeof solution.stats === "object" && solution.stats !== null,
    () => `${label}: stats are ${solution.stats}, expected an object of numbers, {} at least`,
  );
  for (const [name, stat] of Object.entries(solution.stats)) {
    ensure(Number.isFinite(stat), () => `${label}: stats.${name} is ${stat}, expected a finite number`);
  }
  if (solution.trace) ensureFinite(solution.trace, `${label}: trace`);
}
