/** Every error the package throws itself. */
import { PruneError } from "@secateur/core";

/** A training that is too short for the rule's updates. @param spec.unit - of all three numbers */
export function tooShort(spec: {
  rule: string;
  interval: number;
  needs: number;
  found: number;
  unit: "epochs" | "steps";
}): PruneError {
  const { rule, interval, needs, found, unit } = spec;
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `training rule '${rule}': updates every ${interval} ${unit} need at least ${needs} ${unit}, and there are ${found}; lower the interval or train longer`,
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

/** A rule that brings weights back in a training that keeps some pruned. */
export function keptPruned({ rule, zeros }: { rule: string; zeros: number }): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `training rule '${rule}' brings pruned weights back, and this training keeps ${zeros} pruned from the start; train without masks (--no-keep-zeros), or take a rule that only prunes (gmp)`,
    { details: { rule, zeros } },
  );
}

/** A saliency or an updater that looks at the loss or the outputs, in a run without data. */
export function dataMissing(who: string): PruneError {
  return new PruneError("ERR_INCOMPATIBLE", `'${who}' needs training data, and the run has none; give data (--data)`, {
    details: { who },
  });
}

/** First steps of training after which the network's outputs are no numbers. */
export function stepsDiverge(step: number, rate: number): PruneError {
  return new PruneError(
    "ERR_NOT_FINITE",
    `'prospr': the network's outputs are not finite after ${step} of its first steps at a rate of ${rate}; lower stepRate (--step-rate ${Number((rate / 10).toPrecision(3))})`,
    { details: { step, rate } },
  );
}

/** Networks that are averaged, and rules that could prune each in another way. */
export function masksMove(who: string): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `${who}: networks are averaged on one mask, and training rules may move it; train without rules`,
    { details: { who } },
  );
}

/** An updater that goes from layer to layer, on a problem that does not say which weights are whose. */
export function layersMissing(updater: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `updater '${updater}' goes from layer to layer, and the problem does not name its layers; prune a whole network`,
    { details: { updater } },
  );
}

/** A rule about scales of normalisation, for a network that has none. */
export function noScales(rule: string): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `training rule '${rule}' works on the scales of normalisation layers, and the network has none; train one with batch or layer normalisation (such as resnet20)`,
    { details: { rule } },
  );
}

/** A rule that spares the last layer, for a network that has no other. */
export function tooFewLayers(rule: string): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `training rule '${rule}' leaves the last layer whole, and the network has no other prunable one; take a rule of single weights (gmp)`,
    { details: { rule } },
  );
}
