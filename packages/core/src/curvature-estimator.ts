import type { Curvature, CurvatureView } from "./curvature.ts";
import type { Dataset } from "./dataset.ts";
import type { Mat } from "./matrix.ts";
import type { ModelAdapter } from "./model-adapter.ts";
import type { RunContext } from "./run-context.ts";

/** What to estimate the curvature of. What the estimator's own options fix wins over what is asked here. */
export interface EstimateRequest {
  readonly model: ModelAdapter;
  /** Training data. */
  readonly data: Dataset;
  /** The parameters, in the order in which they are flattened. */
  readonly params: readonly string[];
  /** Gradient rows wanted; default: the estimator's. */
  readonly examples?: number;
  /** Examples averaged into one row; default: the estimator's. */
  readonly batch?: number;
  /** Damping; default: the estimator's. */
  readonly ridge?: number | "auto";
  /** Whether the gradient of the mean loss is wanted too; default false. */
  readonly firstOrder?: boolean;
}

/** Curvature at the model's present weights, and what was chosen on the way. */
export interface Estimate {
  readonly curvature: Curvature;
  /** [1, dim], present when asked for. */
  readonly gradient?: Mat;
  /** Mean training loss over the examples seen, in nats. */
  readonly loss: number;
  /** What was used, for the report: { examples, batch, ridge }. */
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
