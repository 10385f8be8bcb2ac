/** Every error the package throws itself. */
import { PruneError } from "@secateur/core";

/** A training that is too short for the rule's updates. */
export function tooShort(spec: { rule: string; interval: number; epochs: number }): PruneError {
  const { rule, interval, epochs } = spec;
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `training rule '${rule}': prunings every ${interval} epochs need at least ${2 * interval} epochs, and there are ${epochs}; lower the interval or train longer`,
    { details: spec },
  );
}

/** A network without a weight that may be pruned. */
export function nothingToPrune(rule: string): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `training rule '${rule}': the network has no prunable weights; rules prune weights of dense and convolution layers`,
    { details: { rule } },
  );
}
