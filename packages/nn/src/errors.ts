/** Every error the network package throws itself, one factory each. */
import { PruneError } from "@secateur/core";

/** A network description that cannot be built. */
export function badNetwork(name: string, message: string): PruneError {
  return new PruneError("ERR_NETWORK", `network '${name}': ${message}`, { details: { name, message } });
}

/** Weights that do not belong to the architecture; the first dozen of each kind is named. */
export function weightsMismatch(spec: {
  name: string;
  missing: readonly string[];
  unexpected: readonly string[];
  misshapen: readonly string[];
}): PruneError {
  const some = (list: readonly string[]): string =>
    list.length <= 12 ? list.join(", ") : `${list.slice(0, 12).join(", ")} and ${list.length - 12} more`;
  const parts = [
    spec.missing.length > 0 ? `missing ${some(spec.missing)}` : "",
    spec.unexpected.length > 0 ? `not part of it: ${some(spec.unexpected)}` : "",
    spec.misshapen.length > 0 ? `wrong shape: ${some(spec.misshapen)}` : "",
  ].filter((part) => part !== "");
  return new PruneError(
    "ERR_WEIGHTS_MISMATCH",
    `the tensors do not fit architecture '${spec.name}': ${parts.join("; ")}; choose the architecture the checkpoint was trained with, or take out of the file what is no tensor of it`,
    { details: spec },
  );
}

/** A dataset that does not fit the network. */
export function dataMismatch(spec: { network: string; data: string; found: string; expected: string }): PruneError {
  return new PruneError(
    "ERR_DATA_MISMATCH",
    `data '${spec.data}' has ${spec.found}, but network '${spec.network}' takes ${spec.expected}; choose data of that shape or another architecture`,
    { details: spec },
  );
}

/** Examples that do not divide into rows. */
export function unevenRows(network: string, examples: number, batch: number): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `network '${network}': ${examples} examples do not make rows of ${batch}; give a positive multiple of the batch`,
    { details: { network, examples, batch } },
  );
}

/** A dataset without examples. */
export function noExamples(network: string, data: string): PruneError {
  return new PruneError(
    "ERR_DATA_MISMATCH",
    `network '${network}': data '${data}' has no examples; give at least one`,
    { details: { network, data } },
  );
}

/** A mask that is not a parameter's. */
export function badMask(network: string, name: string, found: number, expected: number | undefined): PruneError {
  return new PruneError(
    "ERR_SHAPE",
    expected === undefined
      ? `network '${network}': there is a mask for '${name}', which is none of its parameters`
      : `network '${network}': the mask of '${name}' has ${found} entries and the parameter ${expected}`,
    { details: { network, name, found, expected } },
  );
}

/** Training left the finite numbers. */
export function trainingDiverged(network: string, step: number): PruneError {
  return new PruneError(
    "ERR_DIVERGED",
    `network '${network}': training diverged at step ${step} (the loss is not finite); lower the learning rate`,
    { fault: "runtime", details: { network, step } },
  );
}

/** A training setting out of range. */
export function badTrainOption(option: string, found: unknown, allowed: string): PruneError {
  return new PruneError("ERR_OPTION", `train: option '${option}' is ${String(found)}; give ${allowed}`, {
    details: { option, allowed },
  });
}

/** A training state of another network or optimizer. */
export function stateMismatch(
  network: string,
  tensor: string,
  found: number | undefined,
  expected: number,
): PruneError {
  const what = found === undefined ? "is missing" : `has ${found} entries`;
  return new PruneError(
    "ERR_TRAINING_STATE",
    `network '${network}': the training state cannot be continued: '${tensor}' ${what}, where ${expected} entries belong; resume with the network and optimizer it was saved with`,
    { details: { network, tensor, found, expected } },
  );
}

/** Moments of a parameter that multiplies no windows. */
export function noMoments(network: string, param: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `network '${network}': '${param}' is no weight of a dense or convolution layer, so it has no Kronecker factors; take another curvature (--curvature gauss-newton) or leave the parameter out`,
    { details: { network, param } },
  );
}

/** Inputs of a parameter that multiplies none. */
export function noLayerInputs(network: string, param: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `network '${network}': '${param}' is no weight of a dense or convolution layer, so no layer has inputs for it; leave the parameter out`,
    { details: { network, param } },
  );
}

/** A layer that is given a NaN or an infinity. */
export function notFiniteInput(spec: { network: string; layer: string; example: number }): PruneError {
  const { network, layer, example } = spec;
  return new PruneError(
    "ERR_NOT_FINITE",
    `network '${network}': the input of layer '${layer}' for example ${example} is not finite; the weights before it or that example are damaged, or too large for f32`,
    { details: spec },
  );
}

/** A parameter that leads to nothing a layer takes: no weight of a dense or convolution layer. */
export function noReconstruction(model: string, param: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${model}: '${param}' is no weight of a dense or convolution layer, whose outputs could be reconstructed; name weights of such layers`,
    { details: { model, param } },
  );
}
