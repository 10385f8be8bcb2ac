import type { Dataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import type { Curvature, CurvatureView } from "../problem/curvature.ts";
import type { Mask, Mat } from "../problem/matrix.ts";
import type { RunContext } from "../run-context.ts";
import type { Task } from "../task/task.ts";

/** What to estimate the curvature of. What the estimator's own options fix wins over what is asked here. */
export interface EstimateRequest {
  readonly model: Model;
  /** Training data. */
  readonly data: Dataset;
  /** Whose loss; default: classification. */
  readonly task?: Task;
  /** The parameters, in the order in which they are flattened. */
  readonly params: readonly string[];
  /** Gradient rows wanted; default: the estimator's. */
  readonly examples?: number;
  /** Examples averaged into one row; default: the estimator's. */
  readonly batch?: number;
  /** Damping; default: the estimator's. */
  readonly ridge?: number | "auto";
  /** Divides scores wherever they become probabilities; default 1. */
  readonly temperature?: number;
  /** Which of the flat weights are kept so far: an automatic ridge is measured on them. Default: all. */
  readonly kept?: Mask;
  /** Whether the gradient of the mean loss is wanted too; default false. */
  readonly firstOrder?: boolean;
  /** Whether statistics of batch normalisation stay as they are when weights change; default false: they are measured anew. */
  readonly fixedStatistics?: boolean;
}

/** Curvature at the model's present weights, and what was chosen on the way. */
export interface Estimate {
  /** H with its ridge multiplied by `factor` (default 1). */
  curvature(factor?: number): Curvature;
  /** [1, dim], present when asked for. */
  readonly gradient?: Mat;
  /** Whether the ridge was chosen by the estimator, so that multiples of it may compete. */
  readonly ridgeIsAutomatic: boolean;
  /** The training examples it was made of; valid until `release`. */
  readonly sample: Dataset;
  /** Their mean loss. */
  readonly loss: number;
  /** What was used, for the report. */
  readonly chosen: { readonly examples: number; readonly batch: number; readonly ridge: number };
  /** Frees what lives in kernel memory; the curvature must not be used afterwards. */
  release(): void;
}

/** Makes a curvature out of a model and data. */
export interface CurvatureEstimator {
  readonly name: string;
  readonly provides: readonly CurvatureView[];
  estimate(request: EstimateRequest, ctx: RunContext): Promise<Estimate>;
}

/** Estimators with their defaults, by the name that a plan calls them. */
export type Estimators = Readonly<Record<string, () => CurvatureEstimator>>;
