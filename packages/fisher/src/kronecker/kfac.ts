/**
 * K-FAC (Martens and Grosse, ICML 2015): each layer's block of the Fisher as a Kronecker product,
 *   H = (B + sqrt(lambda) / pi I) (x) (A + pi sqrt(lambda) I),   A = E[x x'] [in, in],   B = E[delta delta'] [out, out],
 * x the layer's input, delta the loss's gradient at its output, pi^2 = (tr A / in) / (tr B / out); layers do not interact.
 * Exact where inputs and output gradients are independent. A convolution's positions are examples that share weights
 * (Grosse and Martens, KFC, 2016): A sums over them, B takes their mean. Departure: the gradients are those of the true
 * labels (the empirical Fisher), as for every curvature from gradient rows here.
 */
import {
  type CurvatureEstimator,
  dtypeOf,
  type GradientBlock,
  type Kernels,
  type Mask,
  type Mat,
  matrix,
  sampleIndices,
  subset,
} from "@secateur/core";
import { shareOfMean } from "../auto-ridge.ts";
import { badRidge, noGradients, notKronecker, tooFewExamples } from "../errors.ts";
import { lossGradient, rowTask } from "../rows/empirical-fisher.ts";
import { type KroneckerFactors, kroneckerCurvature } from "./kronecker-curvature.ts";

/** Settings of {@link kfac}; a run's plan fills what is left out. */
export interface KfacOptions {
  /** n, training examples; default: the plan's, else 1000. */
  readonly examples?: number | undefined;
  /** lambda, >= 0, or "auto" (half of trace(H) / n, as for the empirical Fisher); default: the plan's, else "auto". */
  readonly ridge?: number | "auto" | undefined;
}

/**
 * An estimator of the Kronecker-factored Fisher. Time: n (in^2 + out^2) a layer, and in^3 + out^3 once an inverse is asked
 * for. Memory: 8 (in^2 + out^2) bytes a layer, twice that with the inverse; the examples' gradients while it is made.
 *
 * @throws on estimate: ERR_INCOMPATIBLE (a model without gradients, or whose rows are not outer products), ERR_IMPOSSIBLE
 * @example
 * const curvature = kfac({ examples: 4000 });
 */
export function kfac(options: KfacOptions = {}): CurvatureEstimator {
  return {
    name: "kfac",
    provides: ["diagonal", "apply", "blocks", "inverse"],
    async estimate(request, ctx) {
      const { model, data, params, task } = request;
      if (!model.gradientRows) throw noGradients("kfac", model.name);
      if ((request.batch ?? 1) !== 1) throw notKronecker(`rows of ${request.batch} examples are no outer products`);
      const rows = options.examples ?? request.examples ?? 1000;
      if (rows > data.size) throw tooFewExamples({ data: data.name, size: data.size, rows, batch: 1 });
      const examples = sampleIndices(data.size, rows, ctx.rng.fork("examples"));
      const own = rowTask(task, ctx);
      const gradients = await model.gradientRows(
        { params, data, examples, batch: 1, ...(own ? { task: own } : {}) },
        ctx,
      );
      const factors = gradients.blocks.map((block) => kroneckerFactors(block, ctx.kernels));
      const gradient = request.firstOrder
        ? task === own
          ? meanGradient(gradients.blocks, ctx.kernels)
          : await lossGradient({ model, params, data, examples, task }, ctx)
        : undefined;
      for (const block of gradients.blocks) {
        if (block.kind === "dense") continue;
        ctx.kernels.free(block.delta.data);
        ctx.kernels.free(block.input.data);
      }
      const ridge = chooseDamping(options.ridge ?? request.ridge, factors, rows, request.kept);
      return {
        curvature: (factor = 1) => kroneckerCurvature({ factors, damping: factor * ridge, kernels: ctx.kernels }),
        ...(gradient ? { gradient } : {}),
        sample: subset(data, examples),
        loss: gradients.loss,
        ridgeIsAutomatic: (options.ridge ?? request.ridge ?? "auto") === "auto",
        chosen: { examples: rows, batch: 1, ridge },
        release() {
          for (const { A, B } of factors) {
            ctx.kernels.free(A.data);
            ctx.kernels.free(B.data);
          }
        },
      };
    },
  };
}

/** A and B of one layer, undamped, f64. @throws ERR_INCOMPATIBLE for rows that are not outer products */
export function kroneckerFactors(block: GradientBlock, kernels: Kernels): KroneckerFactors {
  if (block.kind === "dense") throw notKronecker(`the rows of '${block.param}' are not kept as outer products`);
  const { delta, input, group, param } = block;
  const rows = delta.rows / group;
  return { param, A: secondMoment(input, rows, kernels), B: secondMoment(delta, delta.rows, kernels) };
}

/** X'X / count in f64. */
function secondMoment(X: Mat, count: number, kernels: Kernels): Mat {
  const exact = dtypeOf(X.data) === "f64" ? X : { ...X, data: Float64Array.from(X.data) };
  const out = matrix(X.cols, X.cols, kernels.alloc(X.cols ** 2, "f64"));
  kernels.gram({ a: exact, transpose: true, out, alpha: 1 / count });
  return out;
}

function meanGradient(blocks: readonly GradientBlock[], kernels: Kernels): Mat {
  const parts = blocks.map((block) => {
    if (block.kind === "dense") throw notKronecker(`the rows of '${block.param}' are not kept as outer products`);
    const { delta, input, group } = block;
    const mean = matrix(delta.cols, input.cols);
    const single = (m: Mat): Mat => ({ ...m, data: Float32Array.from(m.data) });
    kernels.gemm({ a: single(delta), transposeA: true, b: single(input), out: mean, alpha: group / delta.rows });
    return mean.data;
  });
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const gradient = matrix(1, size);
  let start = 0;
  for (const part of parts) {
    gradient.data.set(part, start);
    start += part.length;
  }
  return gradient;
}

/** The ridge asked for, or as for the empirical Fisher: half of trace(H) / n over the kept weights. */
function chooseDamping(
  asked: number | "auto" = "auto",
  factors: readonly KroneckerFactors[],
  examples: number,
  kept?: Mask,
): number {
  if (asked !== "auto") {
    if (!(asked >= 0 && Number.isFinite(asked))) throw badRidge(asked);
    return asked;
  }
  let trace = 0;
  let place = 0;
  for (const { A, B } of factors) {
    for (let o = 0; o < B.rows; o++) {
      for (let i = 0; i < A.rows; i++, place++) {
        if (!kept || kept[place] === 1) trace += B.data[o * B.cols + o]! * A.data[i * A.cols + i]!;
      }
    }
  }
  return (shareOfMean * trace) / examples;
}
