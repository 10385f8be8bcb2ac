/**
 * Iterative soft shrinkage (ISS-P, Wang et al. 2023): in every step the smallest floor(s p) of p magnitudes over the whole network lose the fraction a
 * of themselves, w <- w - a w, on top of their gradient; which weights are smallest is asked anew at every step, so that one that the loss
 * needs may grow out of it. After `until` of training they are pruned, and what is kept trains on.
 * Departure: hooks do not move weights, so the shrinkage is a gradient a w / rate beside that of the loss. Plain gradient descent takes exactly the step above;
 * momentum m repeats it in later steps, at their rates: a / (1 - m) of the weight in all while the rate stands still, less where it falls and more where it rises. Optimizers that
 * divide by gradients (adam) hardly follow it, beside a reparameterisation it acts on theta by the chain rule, and weight decay goes on beside it.
 */
import { checkNumber, keptCount, type TrainingRule } from "@secateur/core";
import { tooShort } from "../errors.ts";
import { largestOverall } from "../masks/global-masks.ts";
import { prunableParams, sizeOf } from "../masks/prunable.ts";
import { setMasks } from "../masks/set-masks.ts";

/** Options of {@link issP}. */
export interface IssPOptions {
  /** s, the fraction of prunable weights that shrinks, and is removed in the end, in [0, 1). */
  readonly sparsity: number;
  /** a, the fraction of themselves that small weights lose in a step, in (0, 1); default 0.001. */
  readonly shrink?: number | undefined;
  /** The part of training after which small weights are pruned, in (0, 1]; default 0.7. */
  readonly until?: number | undefined;
}

/**
 * The rule. A step costs one selection over all prunable weights more, until they are pruned.
 *
 * @throws ERR_OPTION; when training begins ERR_IMPOSSIBLE for nothing to prune or a training without a step
 * @example
 * await train(network, { data, epochs: 10, rules: [issP({ sparsity: 0.9 })] }, createRunContext());
 */
export function issP({ sparsity, shrink = 0.001, until = 0.7 }: IssPOptions): TrainingRule {
  checkNumber("iss-p", "sparsity", sparsity, { least: 0, most: 1, below: true });
  checkNumber("iss-p", "shrink", shrink, { least: 0, most: 1, above: true });
  checkNumber("iss-p", "until", until, { least: 0, most: 1, above: true });
  return {
    name: "iss-p",
    masks: "prunes",
    settings: JSON.stringify({ sparsity, shrink, until }),
    begin(setup) {
      const params = prunableParams("iss-p", setup);
      const keep = keptCount(sizeOf(params), sparsity);
      const pruneAfter = Math.max(1, Math.floor(until * setup.steps));
      if (setup.steps < 1) throw tooShort({ rule: "iss-p", interval: 1, needs: 1, found: 0, unit: "steps" });
      return {
        onGradients({ step, rate, weights, masks, gradients, ctx: { kernels } }) {
          // A step of rate 0 moves nothing.
          if (step >= pruneAfter || rate === 0) return;
          for (const [name, mask] of largestOverall({ params, weights, masks, keep, kernels })) {
            const [w, g] = [weights.get(name)!.data, gradients.get(name)!.data];
            for (let i = 0; i < w.length; i++) if (mask[i] === 0) g[i] = g[i]! + (shrink * w[i]!) / rate;
          }
        },
        afterStep(at) {
          if (at.step !== pruneAfter) return;
          const { weights, masks } = at;
          setMasks("iss-p", largestOverall({ params, weights, masks, keep, kernels: at.ctx.kernels }), at);
        },
      };
    },
  };
}
