/**
 * Powerpropagation (Schwarz et al. 2021, equation 1): training theta in place of each prunable weight
 *   w = theta |theta|^(alpha - 1),   dL/dtheta = alpha |theta|^(alpha - 1) dL/dw,   theta_0 = sign(w_0) |w_0|^(1 / alpha),
 * so that large weights learn faster than small ones, and many stay near 0: what is pruned by magnitude afterwards, or by `gmp` beside it, costs less.
 * The initial network is the same for every alpha. A weight at 0 has no slope, so rules that bring weights back cannot go with it.
 */
import { checkNumber, type TrainingRule } from "@secateur/core";
import { prunableParams } from "../masks/prunable.ts";

/** Options of {@link powerpropagation}. */
export interface PowerpropagationOptions {
  /** In (1, 10]; default 2. The paper takes 2 to 4; larger ones want a lower learning rate. */
  readonly alpha?: number | undefined;
}

/**
 * The rule. A step costs two powers a prunable weight more. It prunes nothing itself.
 *
 * @throws ERR_OPTION; when training begins ERR_IMPOSSIBLE for nothing to prune
 * @example
 * const rules = [powerpropagation(), gmp({ sparsity: 0.9 })];
 * await train(network, { data, epochs: 10, rules }, createRunContext());
 */
export function powerpropagation({ alpha = 2 }: PowerpropagationOptions = {}): TrainingRule {
  checkNumber("powerpropagation", "alpha", alpha, { least: 1, most: 10, above: true });
  return {
    name: "powerpropagation",
    settings: JSON.stringify({ alpha }),
    begin(setup) {
      prunableParams("powerpropagation", setup);
      // Powers of whole numbers are many times cheaper as products.
      const power =
        alpha === 2 ? Math.abs : alpha === 3 ? (x: number) => x * x : (x: number) => Math.abs(x) ** (alpha - 1);
      return {
        reparameterize({ shape, prunable }) {
          if (!prunable) return undefined;
          return {
            shape,
            initial: (w) => w.map((value) => Math.sign(value) * Math.abs(value) ** (1 / alpha)),
            toWeights(theta, out) {
              for (let i = 0; i < out.length; i++) out[i] = theta[i]! * power(theta[i]!);
            },
            toGradient(theta, gradient, out) {
              for (let i = 0; i < out.length; i++) out[i] = alpha * power(theta[i]!) * gradient[i]!;
            },
          };
        },
      };
    },
  };
}
