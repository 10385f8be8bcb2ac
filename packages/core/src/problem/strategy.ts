/** The ladder a method climbs: implement the smallest rung; `lift.ts` makes a solver of it. */

import type { RunContext } from "../run-context.ts";
import type { ResolvedPlan, RunPlan, RunSituation } from "../stages/plan.ts";
import type { CurvatureView } from "./curvature.ts";
import type { Mask, Mat, Vec } from "./matrix.ts";
import type { Problem, Solution } from "./problem.ts";

/** What a strategy cannot work without, checked before it starts. An inner array means any one of these. */
export interface Needs {
  readonly curvature?: readonly (CurvatureView | readonly CurvatureView[])[];
  readonly constraint?: readonly ("relax" | "canSwap")[];
  /** Of the model that the problem was made of; see ProblemSource. */
  readonly model?: readonly ("hessianProducts" | "reconstruction" | "synapticFlow")[];
}

/** Scores weights; the constraint keeps the highest. */
export interface Saliency {
  readonly needs: Needs;
  /** One score per weight of problem.w, flat; higher = more important. */
  score(problem: Problem, ctx: RunContext): Vec | Promise<Vec>;
}

/** Chooses a mask. */
export interface Selector {
  readonly needs: Needs;
  select(problem: Problem, ctx: RunContext): Mask | Promise<Mask>;
  /** As {@link Solver.plan}: what a solver made of it is run with. */
  plan?(situation: RunSituation): RunPlan;
}

/** Given a mask, finds the remaining weights. */
export interface Updater {
  readonly needs: Needs;
  /** The new weights, zero where the mask is 0. */
  update(problem: Problem, mask: Mask, ctx: RunContext): Mat | Promise<Mat>;
}

/** Finds mask and weights together. */
export interface Solver {
  /** For messages, for example "chita"; default: "the solver". */
  readonly name?: string;
  readonly needs: Needs;
  /** What it is made for: "network" (default) all weights flattened to one row, "layers" one layer at a time, whose rows share H. */
  readonly scope?: "network" | "layers";
  solve(problem: Problem, ctx: RunContext): Promise<Solution>;
  /** A quicker method whose weights tell which of two budgets is the better one for this; absent: it is quick enough itself. */
  readonly draft?: Solver;
  /** How the method is best run when the user leaves it open: stages, examples, ridge. Absent: one stage, estimator defaults. */
  plan?(situation: RunSituation): RunPlan;
  /** What a whole run by a plan takes beyond a forward and a backward pass for every gradient row; for the expected time only. Absent: next to none. */
  work?(plan: ResolvedPlan, situation: RunSituation): SolverWork;
}

/** Multiply-adds. */
export interface SolverWork {
  /** Of taking the curvature. */
  readonly curvature: number;
  /** Of products with it, with its rows or their transpose. */
  readonly products: number;
  /** How many of products with all of the weights take as long as those, where they are with few of them; default: as many. */
  readonly asDense?: number;
}
