/** Every error the layer-wise solvers throw themselves, one factory each. */
import { PruneError } from "@secateur/core";

/** A layer with more inputs than its [inputs, inputs] matrices can be held for. */
export function tooManyInputs(problem: string, cols: number, most: number): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `layer-wise pruning of '${problem}': its rows have ${cols} inputs, and the solvers hold matrices of inputs x inputs for at most ${most}; use chita, which needs products only`,
    { details: { problem, cols, most } },
  );
}

/** Numbers of H that are no curvature. */
export function notFiniteCurvature(problem: string, index: number, value: number): PruneError {
  return new PruneError(
    "ERR_NOT_FINITE",
    `layer-wise pruning of '${problem}': entry ${index} of H is ${value}; every entry must be finite: look for NaN or overflow in the layer's inputs`,
    { details: { problem, index, value } },
  );
}

/** H differs from its transpose by more than rounding. */
export function notSymmetric(spec: {
  problem: string;
  row: number;
  column: number;
  value: number;
  mirrored: number;
}): PruneError {
  const { problem, row, column, value, mirrored } = spec;
  return new PruneError(
    "ERR_NOT_SYMMETRIC",
    `layer-wise pruning of '${problem}': H[${row}, ${column}] is ${value} and H[${column}, ${row}] is ${mirrored}; H = X'X is symmetric, give that matrix`,
    { details: spec },
  );
}

/** H has a direction of negative curvature that no rounding explains. */
export function notSemidefinite(problem: string, pivot: number, ridge: number): PruneError {
  return new PruneError(
    "ERR_NOT_SEMIDEFINITE",
    `layer-wise pruning of '${problem}': H is not positive semi-definite (pivot ${pivot} of its Cholesky factorisation stays negative with ${ridge} of the mean diagonal added); H = X'X has no negative eigenvalues, give that matrix`,
    { details: { problem, pivot, ridge } },
  );
}

/** A diagonal entry of H that is 0 or less, and an entry beside it that this rules out. */
export function negativeDirection(spec: {
  problem: string;
  row: number;
  column: number;
  value: number;
  diagonal: number;
}): PruneError {
  const { problem, row, column, value, diagonal } = spec;
  const beside = row === column ? "" : ` and H[${row}, ${column}] is ${value}`;
  return new PruneError(
    "ERR_NOT_SEMIDEFINITE",
    `layer-wise pruning of '${problem}': H is not positive semi-definite: H[${column}, ${column}] is ${diagonal}${beside}; H = X'X has a diagonal of at least 0, and only zeros beside a 0, give that matrix`,
    { details: spec },
  );
}

/** A feasible set that a method cannot walk through. */
export function unknownBudget(who: string, problem: string, kind: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${who} cannot solve '${problem}': its budget '${kind}' is neither a number of weights to keep nor a pattern "keep of every"; use layerwise or alps, which take any budget`,
    { details: { who, problem, kind } },
  );
}

/** Units of several weights. */
export function onlySingleWeights(who: string, problem: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${who} cannot solve '${problem}': its units are groups of weights, and ${who} removes single ones; use layerwise or alps, which take any units`,
    { details: { who, problem } },
  );
}

/** A model without prunable parameters. */
export function nothingToPrune(model: string): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `layer-wise pruning of '${model}': it has no prunable parameters; name those to prune`,
    { details: { model } },
  );
}

/** A choice that needs the model's outputs. */
export function noOutputs(model: string, allocation: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `layer-wise pruning of '${model}': allocation "${allocation}" compares the model's outputs, which it does not give; choose "uniform" or "global"`,
    { details: { model, allocation } },
  );
}

/** A choice that needs examples of its own, beside those that layers are solved on. */
export function nothingHeldOut(spec: {
  model: string;
  allocation: string;
  heldOut: number;
  examples: number;
}): PruneError {
  const { model, allocation, heldOut, examples } = spec;
  const those = `${examples} calibration example${examples === 1 ? "" : "s"}`;
  const remedy = 'choose "uniform" or "global" (--layer-allocation), or give more examples';
  return new PruneError(
    "ERR_IMPOSSIBLE",
    examples < 2
      ? `layer-wise pruning of '${model}': allocation "${allocation}" holds examples out, and of ${those} none would be left; ${remedy}`
      : `layer-wise pruning of '${model}': allocation "${allocation}" cannot hold ${heldOut} of ${those} out; hold out 1 to ${examples - 1}, or ${remedy}`,
    { details: spec },
  );
}

/** Evolution holds what all layers are solved from. */
export function tooLargeToEvolve(model: string, most: number): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `layer-wise pruning of '${model}': allocation "evolution" holds the H of all layers, which are more than ${most} GiB; choose "auto", or leave layers with many inputs dense`,
    { details: { model, most } },
  );
}

/** Evolution holds what it cannot copy. */
export function noWrittenCurvature(model: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `layer-wise pruning of '${model}': allocation "evolution" holds the H of all layers, and this curvature has none written out (gram); use activations of @secateur/fisher, or allocation "auto"`,
    { details: { model } },
  );
}

/** Held-out examples cannot choose among shares of a budget. */
export function outputsNotFinite(model: string, tried: readonly string[]): PruneError {
  return new PruneError(
    "ERR_NOT_FINITE",
    `layer-wise pruning of '${model}': its outputs on the held-out calibration examples are not finite under any share of the budget that was tried (${tried.join(", ")}); look for overflow in the model, or choose an allocation (--layer-allocation uniform)`,
    { details: { model, tried } },
  );
}

/** A re-fit of whole blocks needs the model in parts. */
export function noBlocks(model: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `layer-wise pruning of '${model}': a re-fit of whole blocks needs a model that can be cut into them, as ONNX graphs can; leave the re-fit of blocks out, or export the network to ONNX`,
    { details: { model } },
  );
}

/** A method that looks at the mean of the inputs. */
export function noMeans(problem: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `dsnot cannot solve '${problem}': it needs the means of the layer's inputs beside their second moments; prune a model with data, or use wanda or sparseswaps`,
    { details: { problem } },
  );
}

/** Two ways to say how many weights a layer keeps. */
export function nothingToShare(allocation: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `layer-wise pruning: allocation "${allocation}" of the loop shares a number of weights out over layers, and the budget (its units, patterns or allocation) says already what each layer keeps; leave one of the two out`,
    { details: { allocation } },
  );
}

/** A way to share weights out that knows of no other limits. */
export function limitNotShared(spec: {
  allocation: string;
  limits: readonly string[];
  known: readonly string[];
}): PruneError {
  const { allocation, limits, known } = spec;
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `layer-wise pruning: allocation "${allocation}" shares a number of weights out over layers, not limits on ${limits.join(" and ")}; allowed is ${known.join(", ")}, or limit weights alone`,
    { details: spec },
  );
}
