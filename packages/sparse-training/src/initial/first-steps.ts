/**
 * ProsPr (Alizadeh et al. 2022, algorithm 1): what a mask m, at 1, does to the loss after k first steps of training, not before them. From w_0 = m w,
 *   v_(t+1) = mu v_t + g_t,   w_(t+1) = w_t - lr v_(t+1),   g_t the gradient of batch t at w_t,   t = 0 .. k - 1,
 * the score is |dL_k(w_k) / dm| = |w (dL_k / dw_0)|, with L_k the loss of batch k. The chain rule backwards, with H_t the Hessian of batch t at w_t:
 *   a = g_k, b = 0;   t = k - 1 .. 0:   b <- b - lr a,   a <- a + H_t b,   b <- mu b;   dL_k / dw_0 = a.
 * The first-order form (`exact: false`) leaves H_t out, so that dL_k / dw_0 = g_k. k = 0 is SNIP.
 * Departures: what trains are the prunable weights; the authors train biases and normalisation too.
 */
import { checkNumber, type HessianProducts, isPruneError, type Saliency, sampleIndices, zeros } from "@secateur/core";
import { dataMissing, stepsDiverge } from "../errors.ts";

/** Options of {@link firstSteps}. */
export interface FirstStepsOptions {
  /** k, >= 0; default 3. */
  readonly firstSteps?: number | undefined;
  /** lr, > 0; default 0.5. */
  readonly stepRate?: number | undefined;
  /** mu, in [0, 1); default 0.9. */
  readonly stepMomentum?: number | undefined;
  /** Examples of a batch, >= 1; default 128. */
  readonly stepExamples?: number | undefined;
  /** Whether the Hessians take part; without them a is g_k. Default true. */
  readonly exact?: boolean | undefined;
}

/**
 * The saliency. Costs k + 1 gradients and k products with Hessians, of a batch each.
 *
 * @throws ERR_OPTION; on scoring ERR_INCOMPATIBLE for a problem without a model that has products with its Hessian, or without data;
 *   ERR_NOT_FINITE where the steps diverge
 */
export function firstSteps(options: FirstStepsOptions = {}): Saliency {
  const {
    firstSteps: steps = 3,
    stepRate: rate = 0.5,
    stepMomentum: momentum = 0.9,
    stepExamples = 128,
    exact = true,
  } = options;
  checkNumber("prospr", "firstSteps", steps, { least: 0, whole: true });
  checkNumber("prospr", "stepRate", rate, { least: 0, above: true });
  checkNumber("prospr", "stepMomentum", momentum, { least: 0, most: 1, below: true });
  checkNumber("prospr", "stepExamples", stepExamples, { least: 1, whole: true });
  return {
    needs: { model: ["hessianProducts"] },
    async score(problem, ctx) {
      const { model, params, data, task } = problem.source!;
      if (!data) throw dataMissing("prospr");
      const start = problem.w.data;
      const at = async (t: number, w: Float64Array): Promise<HessianProducts> => {
        const examples = sampleIndices(data.size, stepExamples, ctx.rng.fork(`batch ${t}`));
        try {
          return await model.hessianProducts!({ params, data, examples, at: w, ...(task ? { task } : {}) }, ctx);
        } catch (error) {
          // Of the weights as they came the model says itself what is wrong.
          throw t > 0 && isPruneError(error) && error.code === "ERR_NOT_FINITE" ? stepsDiverge(t, rate) : error;
        }
      };
      const w = Float64Array.from(start);
      const v = new Float64Array(w.length);
      const path: HessianProducts[] = [];
      for (let t = 0; t < steps; t++) {
        const local = await at(t, w.slice());
        path.push(local);
        for (let j = 0; j < w.length; j++) {
          v[j] = momentum * v[j]! + local.gradient[j]!;
          // A weight that is pruned stays so.
          if (start[j] !== 0) w[j] = w[j]! - rate * v[j]!;
        }
      }
      const a = Float64Array.from((await at(steps, w)).gradient);
      const b = new Float64Array(w.length);
      const product = zeros(w.length, "f64");
      for (const { times } of exact ? path.reverse() : []) {
        for (let j = 0; j < b.length; j++) b[j] = start[j] === 0 ? 0 : b[j]! - rate * a[j]!;
        await times(b, product);
        for (let j = 0; j < b.length; j++) {
          a[j] = a[j]! + product[j]!;
          b[j] = momentum * b[j]!;
        }
      }
      return a.map((slope, j) => Math.abs(slope * start[j]!));
    },
  };
}
