/**
 * Polarization of the scales gamma of batch (or layer) normalisation (Zhuang et al. 2020, equation 3): over all n scales of the network, with a = |gamma| and mean m of a,
 *   lambda R(gamma),   R = t sum |a_i| - sum |a_i - m|,
 * which pulls small scales to 0 and leaves large ones, with a gap between: channels whose scale is near 0 can go. The gradient is
 *   sign(gamma_i) (t - sign(a_i - m) + mean over j of sign(a_j - m)).
 * Departure: the paper keeps gamma in [0, a] by clipping; rules do not write weights, so magnitudes stand in its place and no upper limit is set.
 */
import { checkNumber, type TrainingRule } from "@secateur/core";
import { noScales } from "../errors.ts";

/** Options of {@link polarization}. */
export interface PolarizationOptions {
  /** lambda >= 0; default 1e-4. */
  readonly strength?: number | undefined;
  /** t >= 0: below 1 more scales grow, above it more fall. Default 1.2. */
  readonly pull?: number | undefined;
}

/**
 * The rule. A step costs two passes over the scales. It prunes nothing itself.
 *
 * @throws ERR_OPTION; when training begins ERR_IMPOSSIBLE for a network without normalisation layers
 * @example
 * await train(network, { data, epochs: 10, rules: [polarization()] }, createRunContext());
 */
export function polarization({ strength = 1e-4, pull = 1.2 }: PolarizationOptions = {}): TrainingRule {
  checkNumber("polarization", "strength", strength, { least: 0 });
  checkNumber("polarization", "pull", pull, { least: 0 });
  return {
    name: "polarization",
    settings: JSON.stringify({ strength, pull }),
    begin({ params }) {
      const scales = params.filter(({ isScale }) => isScale).map(({ name }) => name);
      if (scales.length === 0) throw noScales("polarization");
      return {
        penalty({ weights, gradients }) {
          const own = scales.map((name) => ({ gamma: weights.get(name)!.data, g: gradients.get(name)!.data }));
          const count = own.reduce((sum, { gamma }) => sum + gamma.length, 0);
          let total = 0;
          for (const { gamma } of own) for (const value of gamma) total += Math.abs(value);
          const mean = total / count;
          let [apart, signs] = [0, 0];
          for (const { gamma } of own) {
            for (const value of gamma) {
              apart += Math.abs(Math.abs(value) - mean);
              signs += Math.sign(Math.abs(value) - mean) / count;
            }
          }
          for (const { gamma, g } of own) {
            for (let i = 0; i < g.length; i++) {
              const slope = pull - Math.sign(Math.abs(gamma[i]!) - mean) + signs;
              g[i] = g[i]! + strength * Math.sign(gamma[i]!) * slope;
            }
          }
          return strength * (pull * total - apart);
        },
      };
    },
  };
}
