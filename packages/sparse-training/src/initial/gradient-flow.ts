/**
 * Saliencies from the gradient g and the Hessian H of the mean loss at the weights w, before training or after it; higher = more important. They are
 * one family (Lubana and Dick 2021, arXiv 2009.11839, section 4): of gradient descent, dw/dt = -g, they keep
 *   magnitude        w^2            the norm of the weights
 *   loss             |w g|          the loss, to first order (SNIP, Lee et al. 2019: the gradient of a mask m at w m, m = 1)
 *   magnitude-loss   |w| |w g|      the loss, large weights before small ones
 *   gradient-norm    w (H g)        |g|^2, which changes by -2 w_i (H g)_i without w_i: what it would fall by most stays (GraSP, Wang et al. 2020, removes the largest -w (H g))
 *   gradient-change  |w (H g)|      |g|^2 as it is
 * H g is one exact product, forward over reverse.
 */
import { checkNumber, type Saliency, sampleIndices, type Vec, zeros } from "@secateur/core";
import { dataMissing } from "../errors.ts";
import { checkChoice } from "../masks/prunable.ts";

/** What a saliency keeps; see the formulas above. */
export const flowMeasures = ["magnitude", "loss", "magnitude-loss", "gradient-norm", "gradient-change"] as const;
/** One of {@link flowMeasures}. */
export type FlowMeasure = (typeof flowMeasures)[number];

/** Options of {@link gradientFlow}. */
export interface GradientFlowOptions {
  /** For messages; default "gradient-flow". */
  readonly name?: string | undefined;
  /** Default "loss". */
  readonly measure?: FlowMeasure | undefined;
  /** Training examples that g and H are of, >= 1; fewer where there are fewer. Default 100. */
  readonly sample?: number | undefined;
  /** Divides the scores before the loss, > 0: where probabilities are extreme, second derivatives are tiny. Default 1. */
  readonly scoreTemperature?: number | undefined;
}

/**
 * The saliency of one measure. Costs a forward and a backward pass over the examples, and about six passes more for H g.
 *
 * @throws ERR_OPTION; on scoring ERR_INCOMPATIBLE for a problem without a model that has products with its Hessian, or without data
 * @example
 * const solver = solverFrom(selectorFrom(gradientFlow({ measure: "gradient-norm", scoreTemperature: 200 })));
 */
export function gradientFlow(options: GradientFlowOptions = {}): Saliency {
  const { name = "gradient-flow", measure = "loss", sample = 100, scoreTemperature: temperature = 1 } = options;
  checkChoice(name, "measure", measure, flowMeasures);
  checkNumber(name, "sample", sample, { least: 1, whole: true });
  checkNumber(name, "scoreTemperature", temperature, { least: 0, above: true });
  if (measure === "magnitude") return { needs: {}, score: ({ w }) => w.data.map((value) => value * value) };
  return {
    needs: { model: ["hessianProducts"] },
    async score(problem, ctx) {
      const { model, params, data, task } = problem.source!;
      if (!data) throw dataMissing(name);
      const at = problem.w.data;
      const chosen = sampleIndices(data.size, sample, ctx.rng.fork("examples"));
      const asked = { params, data, examples: chosen, temperature, at, ...(task ? { task } : {}) };
      const products = await model.hessianProducts!(asked, ctx);
      const slope = measure.startsWith("gradient") ? await curved(products) : products.gradient;
      return Float64Array.from(at, (w, i) => {
        if (measure === "gradient-norm") return w * slope[i]!;
        return Math.abs(w * slope[i]!) * (measure === "magnitude-loss" ? Math.abs(w) : 1);
      });
    },
  };
}

async function curved({
  gradient,
  times,
}: {
  gradient: Vec;
  times: (x: Vec, out: Vec) => Promise<void>;
}): Promise<Vec> {
  const out = zeros(gradient.length, "f64");
  await times(gradient, out);
  return out;
}
