import type { Constraint } from "../budget/constraint.ts";
import type { Units } from "../budget/units.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import type { Task } from "../task/task.ts";
import type { Curvature } from "./curvature.ts";
import type { Mask, Mat } from "./matrix.ts";

/**
 * The one problem every method solves: minimise Q(w) = sum over rows of 1/2 d'Hd + g'd, d = w - w0, over masks in the
 * constraint. The whole network flattened is one row (H from gradients); one layer is `out` rows that share one H
 * (from its inputs). Nothing in it may be mutated by a solver.
 */
export interface Problem {
  /** For messages: "network" or a layer's name. */
  readonly id: string;
  /** w0 [rows, cols], the dense weights; rows are independent given H. */
  readonly w: Mat;
  /** H [cols, cols], shared by all rows. */
  readonly curvature: Curvature;
  /** g [rows, cols]; absent = no first-order term. */
  readonly gradient?: Mat;
  readonly units: Units;
  readonly constraint: Constraint;
  /** The parameters that the columns of w come from, in order, where they are known: for block-wise methods and reports. */
  readonly layers?: readonly { readonly name: string; readonly start: number; readonly size: number }[];
  /** Absent for single layers, and where only numbers are at hand. */
  readonly source?: ProblemSource;
  /** At a w0 that meets the constraint already: how many pruned weights to try again, as a fraction of the kept ones. Default 0. */
  readonly regrowFraction?: number;
}

/** What a problem of a whole network was made of, for scores that ask more of the loss than one quadratic model. Nothing in it is written to. */
export interface ProblemSource {
  /** Its weights may be others than the problem's: ask `at` those. */
  readonly model: Pick<Model, "name" | "hessianProducts" | "reconstruction" | "synapticFlow">;
  /** The parameters whose weights stand in the columns of w, in order. */
  readonly params: readonly string[];
  /** The examples that gradients are taken of; absent in a run without data. */
  readonly data?: Dataset;
  readonly task?: Task;
}

/**
 * How a solver ended. "converged": its own stop rule held, which may be a planned amount of work. "exact": a closed form. "max-iterations": the iteration limit
 * came first; raise it. "stalled": no progress at working precision; the result is usable, more damping may help.
 */
export type SolveStatus = "converged" | "max-iterations" | "stalled" | "exact";

/** What a solver returns; zeros where the mask is 0. */
export interface Solution {
  /** [rows, cols], as the problem's */
  readonly w: Mat;
  /** [units.count] */
  readonly mask: Mask;
  /** Q(w), as `objective` computes it. */
  readonly objective: number;
  readonly status: SolveStatus;
  /** Which algorithm ran, where the solver has several, for example "row space" or "path"; absent: its only one. */
  readonly method?: string;
  /** Counts and values worth reporting, for example { iterations, products }. */
  readonly stats: Readonly<Record<string, number>>;
  /** The objective after each round, for plots. */
  readonly trace?: readonly number[];
}
