/** What must hold for every solution, whatever solver it comes from: checked before its weights are used. */
import { keptWeights } from "../budget/units.ts";
import { brokenSolution } from "../errors.ts";
import { objective } from "./objective.ts";
import type { Problem, Solution, SolveStatus } from "./problem.ts";

/** How far a reported objective may be from the recomputed one, relative to the terms it sums: f32 products of long sums. */
const tolerance = 1e-3;

const statuses: readonly SolveStatus[] = ["converged", "max-iterations", "stalled", "exact"];

/**
 * Checks a solution against its problem: mask [units.count] of zeros and ones that the constraint allows, weights of the problem's
 * shape, finite, and 0 where the mask is 0, a status, stats, and a finite objective that is the one of these weights. Costs one product with H.
 *
 * @param who - the solver, for the message
 * @throws ERR_SOLUTION naming the solver and the rule
 */
export async function checkSolution(problem: Problem, solution: Solution, who: string): Promise<void> {
  const { units, constraint, w: dense } = problem;
  const { mask, w, status, stats } = (solution ?? {}) as Partial<Solution> as Solution;
  const fail = (rule: string, found: string): never => {
    throw brokenSolution({ who, problem: problem.id, rule, found });
  };
  if (!(mask instanceof Uint8Array) || mask.length !== units.count) {
    fail(`the mask is a Uint8Array with one entry for each of the ${units.count} units`, `${mask?.length} entries`);
  }
  const odd = mask.find((bit) => bit > 1);
  if (odd !== undefined) fail("the mask holds 0 and 1 only", `${odd}`);
  const violation = constraint.violation(mask);
  if (violation > 0) {
    const kept = mask.reduce((sum, bit) => sum + bit, 0);
    fail("the mask keeps no more than the budget", `${kept} kept units, ${violation} beyond '${constraint.kind}'`);
  }
  // What a plugin returns was checked by no compiler.
  if (!ArrayBuffer.isView(w?.data)) fail(`the weights are a matrix ${dense.rows} x ${dense.cols}`, "none");
  if (w.rows !== dense.rows || w.cols !== dense.cols || w.data.length !== dense.rows * dense.cols) {
    fail(`the weights are a matrix ${dense.rows} x ${dense.cols}`, `${w.rows} x ${w.cols}`);
  }
  const bad = w.data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) fail("every weight is a finite number", `${w.data[bad]} at index ${bad}`);
  const isKept = new Uint8Array(w.data.length);
  for (const index of keptWeights(units, mask)) isKept[index] = 1;
  const stray = w.data.findIndex((value, index) => value !== 0 && isKept[index] === 0);
  if (stray >= 0) fail("a weight is 0 where the mask is 0", `${w.data[stray]} at index ${stray}`);
  if (!statuses.includes(status)) fail(`the status is ${statuses.join(", ")}`, `${status}`);
  if (typeof stats !== "object" || stats === null) fail("stats are an object of numbers, {} at least", `${stats}`);
  const [name, stat] = Object.entries(stats).find(([, one]) => typeof one !== "number") ?? [];
  if (name !== undefined) fail("stats are an object of numbers, {} at least", `${typeof stat} for '${name}'`);
  await checkObjective(problem, solution, fail);
}

async function checkObjective(
  problem: Problem,
  { w, objective: reported }: Solution,
  fail: (rule: string, found: string) => never,
): Promise<void> {
  if (!Number.isFinite(reported)) fail("the objective is a finite number", `${reported}`);
  const value = await objective(problem, w);
  const close = (scale: number) => Math.abs(value - reported) <= tolerance * Math.max(Math.abs(value), scale);
  if (close(0)) return;
  // Q sums terms that may cancel: what removing every weight costs says how large they are.
  const everything = await objective(problem, { ...w, data: w.data.slice().fill(0) });
  if (close(Math.abs(everything))) return;
  fail("the objective is Q of the weights, as 'objective' of core computes it", `${reported} where Q is ${value}`);
}
