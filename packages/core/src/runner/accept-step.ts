/**
 * Which way to go from a stage: the solver's step in full or shortened, with more damping, or no step at all. A quadratic model of
 * the loss may be wrong far from the weights it was taken at, so a step is accepted only if its loss is no higher than that of what
 * is at hand without it: the new mask over the old weights, the weights of the stage before where they meet the budget, and the
 * largest magnitudes. Damping rises until a step is accepted, as in the method of Levenberg and Marquardt, a few times; what is at
 * hand always exists.
 */
import { magnitudes } from "../budget/magnitudes.ts";
import { masked } from "../problem/lift.ts";
import type { Mask, Mat, Vec } from "../problem/matrix.ts";
import { objective } from "../problem/objective.ts";
import type { Problem, Solution } from "../problem/problem.ts";

/**
 * What the weights after a stage are: the solver's ("step", possibly shortened), the solver's mask over the weights before the stage
 * ("mask"), the weights before the stage ("last"), or the largest magnitudes among them ("magnitude").
 */
export type Taken = "step" | "mask" | "last" | "magnitude";

/** One way to go on. */
export interface Candidate {
  readonly taken: Taken;
  readonly solution: Solution;
  /** The multiple of the ridge it was solved with. */
  readonly factor: number;
  /** How much of the way from the masked weights to the solver's was gone; 0 without a step. */
  readonly step: number;
  /** Q at the end of that way; absent where the solver found none. */
  readonly fullStepObjective?: number;
  /** Mean loss on the examples on which steps are accepted; infinite where outputs are not finite. */
  readonly loss: number;
}

/** A problem posed with some multiple of the ridge, and its solution. */
export interface Attempt {
  readonly problem: Problem;
  readonly solution: Solution;
  readonly factor: number;
}

/** What decides. */
export interface Acceptance {
  /** Mean loss of flat weights. */
  measure(w: Vec): Promise<number>;
  /** Solves with the ridge multiplied; nothing where the solver failed on the numbers. */
  attempt(factor: number): Promise<Attempt | undefined>;
  /** The problem that attempts solve, with the plain ridge. */
  readonly problem: Problem;
  /** Mask before the stage. */
  readonly mask: Mask;
  /** Multiples of the ridge that compete, at least one. */
  readonly factors: readonly number[];
  /** Whether other multiples than those make a difference. */
  readonly canRaise: boolean;
  /** Whether steps are shortened. */
  readonly shortens: boolean;
  /** Whether the weights before the stage may stay, where they meet the budget. */
  readonly mayStay: boolean;
  /** Their loss, where the stage before has measured it. */
  readonly lastLoss?: number;
  /** Whether the largest magnitudes take part. */
  readonly triesMagnitude: boolean;
}

/** A candidate whose objective, one product with the curvature, is computed only if it is taken. */
type Way = Candidate & { readonly problem: Problem };

/** By how much damping rises, and how often. */
const raise = 8;
const mostRaises = 3;

/** The best way to go on. Solves once for every factor, and up to three times more where no step is accepted. */
export async function acceptStep(spec: Acceptance): Promise<Candidate> {
  const { measure, problem, mask, factors, canRaise } = spec;
  let step: Way | undefined;
  let atHand: Way | undefined;
  const masks: Mask[] = [];
  let highest = factors[0]!;
  const consider = async (factor: number): Promise<void> => {
    highest = Math.max(highest, factor);
    const attempt = await spec.attempt(factor);
    if (!attempt) return;
    step = await bestStep(attempt, step, spec);
    if (masks.some((other) => isSame(other, attempt.solution.mask))) return;
    masks.push(attempt.solution.mask);
    atHand = better(atHand, await withoutStep("mask", attempt.solution.mask, attempt));
  };
  const withoutStep = async (taken: Taken, kept: Mask, attempt?: Attempt): Promise<Way> => {
    const w = masked(problem.w, problem.units, kept);
    const { stats = {}, status = "exact" } = attempt?.solution ?? {};
    return {
      taken,
      problem: attempt?.problem ?? problem,
      solution: { w, mask: kept, objective: Number.NaN, status, stats },
      factor: highest,
      step: 0,
      ...(attempt ? { fullStepObjective: attempt.solution.objective } : {}),
      loss: taken === "last" && spec.lastLoss !== undefined ? spec.lastLoss : await measure(w.data),
    };
  };
  if (spec.mayStay && problem.constraint.violation(mask) === 0) {
    masks.push(mask);
    atHand = await withoutStep("last", mask);
  }
  for (const factor of factors) await consider(factor);
  // Where a step beats the mask alone, another mask is not worth its time: the end of the run compares with it anyway.
  if (!isAccepted(step, atHand) && (spec.triesMagnitude || !atHand)) {
    const largest = problem.constraint.select(problem.units.reduce(magnitudes(problem.w.data, problem.constraint)));
    if (!masks.some((other) => isSame(other, largest))) {
      atHand = better(atHand, await withoutStep("magnitude", largest));
    }
  }
  // Weights that may stay are a good result; without them more damping is worth its time.
  const isStuck = () => atHand?.taken !== "last" && !isAccepted(step, atHand);
  for (let k = 1; k <= mostRaises && canRaise && isStuck(); k++) await consider(Math.max(...factors) * raise ** k);
  // A stage without a step trusted its model too far, however much damping it tried.
  return await withObjective(isAccepted(step, atHand) ? step! : { ...atHand!, factor: highest });
}

async function withObjective({ problem, ...candidate }: Way): Promise<Candidate> {
  const { solution, step } = candidate;
  if (step === 1) return candidate;
  return { ...candidate, solution: { ...solution, objective: await objective(problem, solution.w) } };
}

function isAccepted(step: Way | undefined, atHand: Way | undefined): boolean {
  return step !== undefined && Number.isFinite(step.loss) && !(atHand && atHand.loss < step.loss);
}

/** The one of lower loss; the earlier one of equal ones. */
function better(one: Way | undefined, other: Way): Way {
  return one && !(other.loss < one.loss) ? one : other;
}

/** The full step, and shorter ones while that lowers the loss. */
async function bestStep(attempt: Attempt, before: Way | undefined, spec: Acceptance): Promise<Way> {
  const { problem, solution, factor } = attempt;
  const start = masked(problem.w, problem.units, solution.mask);
  let best = before;
  for (const step of spec.shortens ? [1, 0.5, 0.25] : [1]) {
    const w = step === 1 ? solution.w : between(start, solution.w, step);
    const loss = await spec.measure(w.data);
    // A longer step or a smaller ridge wins a tie; once shortening stops paying, shorter steps are not tried.
    if (best && !(loss < best.loss)) {
      if (step < 1) break;
      continue;
    }
    best = {
      taken: "step",
      problem,
      solution: step === 1 ? solution : { ...solution, w, objective: Number.NaN },
      ...{ factor, step, fullStepObjective: solution.objective, loss },
    };
  }
  return best!;
}

function between(start: Mat, end: Mat, step: number): Mat {
  return { ...end, data: end.data.map((value, j) => start.data[j]! + step * (value - start.data[j]!)) };
}

function isSame(a: Mask, b: Mask): boolean {
  return a.every((bit, u) => bit === b[u]);
}
