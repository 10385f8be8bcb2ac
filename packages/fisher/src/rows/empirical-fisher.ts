/**
 * The empirical Fisher H = (1/n) G'G + damping I, G [n, p] one row per example or mini-batch: the gradient of its mean
 * loss at the present weights (CHITA, Benbaki et al. 2023, section 3.1; WoodFisher, Singh and Alistarh 2020).
 */
import {
  type CurvatureEstimator,
  checkNumber,
  type FactorView,
  type GradientRequest,
  type Mat,
  type Model,
  matrix,
  type RunContext,
  sampleIndices,
  subset,
  type Task,
  withDrawnSlopes,
  zeros,
} from "@secateur/core";
import { chooseRidge } from "../auto-ridge.ts";
import { noGradients, tooFewExamples } from "../errors.ts";
import { storedCurvature } from "../inverse/factor-inverse.ts";
import { rowFactor } from "./row-factor.ts";
import { takeRows } from "./take-rows.ts";

/** Settings of {@link empiricalFisher}; a run's plan fills what is left out. */
export interface EmpiricalFisherOptions {
  /** n, gradient rows; default: the plan's, else 1000. */
  readonly examples?: number | undefined;
  /** Training examples averaged into one row; default: the plan's, else 1. */
  readonly batch?: number | undefined;
  /** Damping added to H, >= 0, or "auto"; default: the plan's, else "auto", see {@link autoRidge}. */
  readonly ridge?: number | "auto" | undefined;
  /**
   * "factored" keeps outer products where the model gives them, "dense" expands every row; "auto" (default) keeps them for
   * rows of up to {@link largestGroup} examples, beyond which a stored row is cheaper than its factors.
   */
  readonly layout?: "auto" | "factored" | "dense" | undefined;
}

/**
 * An estimator of the empirical Fisher. Examples are drawn without replacement from the run's generator.
 *
 * @throws on estimate: ERR_INCOMPATIBLE (model without gradients), ERR_IMPOSSIBLE (too few examples), ERR_OPTION
 * @example
 * const curvature = empiricalFisher({ examples: 4000 });
 */
export function empiricalFisher(options: EmpiricalFisherOptions = {}): CurvatureEstimator {
  return {
    name: "empirical-fisher",
    provides: ["diagonal", "apply", "factor", "inverse"],
    async estimate(request, ctx) {
      const { model, data, params, task } = request;
      if (!model.gradientRows) throw noGradients("empirical-fisher", model.name);
      const whole = { least: 1, whole: true };
      const rows = checkNumber("empirical-fisher", "examples", options.examples ?? request.examples ?? 1000, whole);
      const batch = checkNumber("empirical-fisher", "batch", options.batch ?? request.batch ?? 1, whole);
      if (rows * batch > data.size) throw tooFewExamples({ data: data.name, size: data.size, rows, batch });
      const examples = sampleIndices(data.size, rows * batch, ctx.rng.fork("examples"));
      const own = rowTask(task, ctx);
      const asked = { params, data, examples, batch, ...(own ? { task: own } : {}) };
      const { blocks, dtype, loss, release } = await takeRows(
        { ...asked, model, layout: options.layout ?? "auto" },
        ctx,
      );
      const undamped = rowFactor({ blocks, rows, dtype });
      const ridge = chooseRidge(options.ridge ?? request.ridge, undamped, rows, request.kept);
      const gradient = request.firstOrder
        ? task === own
          ? await meanRow(undamped)
          : await lossGradient({ model, params, data, examples, task }, ctx)
        : undefined;
      return {
        curvature: (factor = 1) => storedCurvature({ ...undamped, damping: factor * ridge }, ctx.kernels),
        ...(gradient ? { gradient } : {}),
        sample: subset(data, examples),
        loss,
        ridgeIsAutomatic: (options.ridge ?? request.ridge ?? "auto") === "auto",
        chosen: { examples: rows, batch, ridge },
        release,
      };
    },
  };
}

/**
 * Whose slopes make rows: the loss's, but drawn ones where the dense network teaches itself, since there the loss starts with no slope at
 * all and its rows would tell nothing (then this is a Fisher matrix of drawn targets, whose mean is the Gauss-Newton matrix).
 */
export function rowTask(task: Task | undefined, ctx: RunContext): Task | undefined {
  return task?.targetsFrom === "teacher" ? withDrawnSlopes(task, ctx.rng.fork("slopes")) : task;
}

/** g [1, p], the gradient of the mean loss over the examples, taken as one row. */
export async function lossGradient(
  spec: Omit<GradientRequest, "batch" | "task"> & { model: Model; task: Task | undefined },
  ctx: RunContext,
): Promise<Mat> {
  const { model, task, ...request } = spec;
  const { examples } = request;
  const asked = { ...request, batch: examples.length, ...(task ? { task } : {}) };
  const { blocks, dtype, release } = await takeRows({ ...asked, model, layout: "factored" }, ctx);
  const gradient = await meanRow(rowFactor({ blocks, rows: 1, dtype }));
  release();
  return gradient;
}

/** g [1, p]: the mean row. */
async function meanRow(view: FactorView): Promise<Mat> {
  const g = zeros(view.dim, view.dtype);
  await view.transposeTimes(zeros(view.rows, view.dtype).fill(1 / view.rows), g);
  return matrix(1, view.dim, g);
}
