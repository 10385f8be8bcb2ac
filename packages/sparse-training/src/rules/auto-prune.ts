/**
 * AutoPrune (Xiao, Wang and Rajasekaran 2019, equations 3 to 6): a gate m beside every prunable weight,
 *   t = w [m > 0],   dL/dw = [m > 0] dL/dt,   dL/dm = (sign(w) dL/dt + pull) s(m),   s(m) = 1 for m > 0, leak for m <= 0:
 * the step function has no slope, so gradients go straight through a leaky ReLU in its place, and the sign of w stands for w, so that gates of large and small weights move at one
 * pace. What `pull` (mu of the paper's penalty on open gates) closes, the loss may open again. At the end a weight with a closed gate is 0. How sparse the network becomes is for the pull
 * to say, not asked for. Weight decay acts on gates too, and the optimizer is one for both; the authors train gates with a rate of their own.
 */
import { checkNumber, dtypeOf, type Reparameterization, type TrainingRule, zeros } from "@secateur/core";
import { prunableParams } from "../masks/prunable.ts";

/** Options of {@link autoPrune}. */
export interface AutoPruneOptions {
  /** mu >= 0, what closes gates; default 1e-4. */
  readonly pull?: number | undefined;
  /** m of every weight at the start, > 0; default 0.02. */
  readonly gate?: number | undefined;
  /** Slope of closed gates, in (0, 1]; default 0.1. */
  readonly leak?: number | undefined;
}

/**
 * The rule. A step costs three passes over the prunable weights more; gates take the memory of one network.
 *
 * @throws ERR_OPTION; when training begins ERR_IMPOSSIBLE for nothing to prune
 * @example
 * await train(network, { data, epochs: 10, rules: [autoPrune({ pull: 3e-4 })] }, createRunContext());
 */
export function autoPrune({ pull = 1e-4, gate = 0.02, leak = 0.1 }: AutoPruneOptions = {}): TrainingRule {
  checkNumber("auto-prune", "pull", pull, { least: 0 });
  checkNumber("auto-prune", "gate", gate, { least: 0, above: true });
  checkNumber("auto-prune", "leak", leak, { least: 0, most: 1, above: true });
  return {
    name: "auto-prune",
    settings: JSON.stringify({ pull, gate, leak }),
    begin(setup) {
      prunableParams("auto-prune", setup);
      return {
        reparameterize: ({ prunable, rows, cols }) =>
          prunable ? gated({ size: rows * cols, pull, gate, leak }) : undefined,
      };
    },
  };
}

/** theta = [w, m]. */
function gated(spec: { size: number; pull: number; gate: number; leak: number }): Reparameterization {
  const { size, pull, gate, leak } = spec;
  return {
    shape: [2, size],
    initial(w) {
      const theta = zeros(2 * size, dtypeOf(w)).fill(gate);
      theta.set(w);
      return theta;
    },
    toWeights(theta, out) {
      for (let i = 0; i < size; i++) out[i] = theta[size + i]! > 0 ? theta[i]! : 0;
    },
    toGradient(theta, gradient, out) {
      for (let i = 0; i < size; i++) {
        const isOpen = theta[size + i]! > 0;
        out[i] = isOpen ? gradient[i]! : 0;
        out[size + i] = (Math.sign(theta[i]!) * gradient[i]! + pull) * (isOpen ? 1 : leak);
      }
    },
  };
}
