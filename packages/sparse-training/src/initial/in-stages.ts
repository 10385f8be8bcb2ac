/** Selectors of saliencies that are asked again as weights go. */
import { type Saliency, type Selector, selectorFrom } from "@secateur/core";

/**
 * The selector that keeps the highest scores, advised to run over this many stages in which the kept weights shrink by one factor each; what is
 * pruned stays pruned, and scores are those of what is left.
 *
 * @param stages - >= 1
 * @example
 * const solver = solverFrom(inStages(synapticFlow, 100));
 */
export function inStages(saliency: Saliency, stages: number): Selector {
  const reason =
    stages === 1
      ? "one look at the network is the method"
      : `scores change as weights go: ${stages} looks, a factor each`;
  return {
    ...selectorFrom(saliency),
    plan: () => ({ stages, schedule: "geometric", from: 0, regrow: false, reason }),
  };
}
