/**
 * The Gauss-Newton matrix of a task's loss with every layer's block taken as a Kronecker product and no interaction
 * between layers (K-FAC: Martens and Grosse 2015; convolutions: Grosse and Martens 2016):
 *   H = (B + s mean(diag B) I) (x) (A + s mean(diag A) I) + ridge I
 * A [in, in] and B [out, out] the second moments of a layer's inputs and of the loss's slopes at its output, drawn as
 * the task says (for classes: of labels drawn from the network). A few hundred examples make it of full rank, where as many gradient rows leave nearly all directions of
 * a convolutional network unseen. Departures: where the statistics of batch normalisation are measured anew and there is no first-order term, the inputs of a layer before one
 * are taken less their mean, because new statistics take the mean output out; the damping goes into the factors in
 * proportion to each.
 */
import {
  type CurvatureEstimator,
  checkNumber,
  type FactorView,
  factorCurvature,
  matrix,
  sampleIndices,
  subset,
} from "@secateur/core";
import { chooseRidge } from "../auto-ridge.ts";
import { noMoments, tooFewExamples } from "../errors.ts";
import { kroneckerFactor } from "./kronecker-factor.ts";

/** Settings of {@link kroneckerGaussNewton}; a run's plan fills what is left out. */
export interface KroneckerGaussNewtonOptions {
  /** Training examples; default: the plan's, else 2000. */
  readonly examples?: number | undefined;
  /** Damping added to H, >= 0, or "auto": with a first-order term 0.008 trace(H), else 0, the factors being damped already. Default: the plan's, else "auto". */
  readonly ridge?: number | "auto" | undefined;
  /** Divides scores wherever they become probabilities, > 0; default: the plan's, else 1. */
  readonly temperature?: number | undefined;
  /** s above, > 0; default 0.01. */
  readonly share?: number | undefined;
}

/** Chosen on training images of CIFAR-10 held out from the moments (ResNet20); flat from 1e-4 to 1e-2 for one stage. */
const defaultShare = 1e-2;

/** Of trace(H): a smaller ridge follows the noise in the gradient of some thousand examples; chosen in the same way. */
const slopeRidge = 0.008;

/** trace(H), undamped by a ridge. */
function trace(view: FactorView): number {
  return view.columnNormsSquared().reduce((sum, norm) => sum + norm, 0);
}

/**
 * An estimator of the Kronecker-factored Gauss-Newton matrix, with products and blocks of chosen weights but no rows. Without a
 * ridge it has an inverse, for all weights or for whole layers: the Kronecker product of the factors' inverses. The first-order
 * term is the gradient of the mean loss of the same examples. Time: a forward and a backward pass, twice backward with the
 * gradient; for the inverse in^3 + out^3 a layer.
 *
 * @throws on estimate: ERR_INCOMPATIBLE (a model without layer moments), ERR_IMPOSSIBLE (too few examples), ERR_OPTION; on
 * inverse: ERR_INCOMPATIBLE (for parts of layers)
 * @example
 * const curvature = kroneckerGaussNewton({ examples: 2000 });
 */
export function kroneckerGaussNewton(options: KroneckerGaussNewtonOptions = {}): CurvatureEstimator {
  const name = "kronecker-gauss-newton";
  return {
    name,
    // And an inverse, where there is no ridge.
    provides: ["diagonal", "apply", "factor"],
    async estimate(request, ctx) {
      const { model, data, params, task } = request;
      if (!model.layerMoments) throw noMoments(name, model.name);
      const count = checkNumber(name, "examples", options.examples ?? request.examples ?? 2000, {
        least: 1,
        whole: true,
      });
      const temperature = options.temperature ?? request.temperature ?? 1;
      checkNumber(name, "temperature", temperature, { least: 0, above: true });
      const share = checkNumber(name, "share", options.share ?? defaultShare, { least: 0, above: true });
      if (count > data.size) throw tooFewExamples({ data: data.name, size: data.size, rows: count, batch: 1 });
      const examples = sampleIndices(data.size, count, ctx.rng.fork("examples"));
      const moments = await model.layerMoments(
        {
          params,
          data,
          examples,
          temperature,
          gradient: request.firstOrder === true,
          centred: request.firstOrder !== true && request.fixedStatistics !== true,
          ...(task ? { task } : {}),
        },
        ctx,
      );
      const view = kroneckerFactor({ layers: moments.layers, share, kernels: ctx.kernels });
      const asked = options.ridge ?? request.ridge ?? "auto";
      const ridge =
        asked === "auto" ? (request.firstOrder ? slopeRidge * trace(view) : 0) : chooseRidge(asked, view, count);
      return {
        curvature(factor = 1) {
          const damping = factor * ridge;
          const products = factorCurvature({ ...view, damping });
          // With a ridge H is no Kronecker product, and neither is its inverse.
          return damping > 0 ? products : { ...products, inverse: (support) => view.inverse(support) };
        },
        ...(moments.gradient ? { gradient: matrix(1, moments.gradient.length, moments.gradient) } : {}),
        sample: subset(data, examples),
        loss: moments.loss,
        // Multiples of nothing do not compete.
        ridgeIsAutomatic: false,
        chosen: { examples: count, batch: 1, ridge },
        release: () => view.release(),
      };
    },
  };
}
