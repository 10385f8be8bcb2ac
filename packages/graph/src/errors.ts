/** Every error this package throws, one factory each. Codes are stable; messages may improve. */
import { PruneError } from "@secateur/core";

/** Operators that are not known, each with how often it stands in the graph. */
export function unknownOperators(spec: { where: string; operators: readonly string[]; what: string }): PruneError {
  const { where, operators, what } = spec;
  return new PruneError(
    "ERR_OPERATOR",
    `${where}: ${what} needs the operators ${operators.join(", ")}, which are not known here; magnitude pruning works without them, and evaluation and layer-wise pruning do where onnxruntime-node is installed in the folder that secateur runs in`,
    { details: spec },
  );
}

/** A node whose inputs or attributes an operator cannot work on. */
export function badNode(spec: {
  node: string;
  found: string;
  expected: string;
  remedy?: string;
  cause?: unknown;
}): PruneError {
  const { node, found, expected, remedy = "check the model, or export it again", cause } = spec;
  return new PruneError("ERR_GRAPH_NODE", `node ${node}: found ${found}, expected ${expected}; ${remedy}`, {
    details: { node, found, expected },
    cause,
  });
}

/** What to do where something would be known before a graph runs if one of its inputs were. */
export const fixRemedy =
  "where it follows from an input that is always the same number, say so (--fix NAME=NUMBER, such as sr=16000); else prune by magnitude, which runs nothing";

/** An input of the graph that the data say nothing of. */
export function missingInput(spec: { where: string; input: string; given: readonly string[] }): PruneError {
  const { where, input, given } = spec;
  return new PruneError(
    "ERR_GRAPH_INPUT",
    `${where}: input '${input}': found data with the inputs ${given.join(", ")}, expected an input of that name; add it to the data (npy:NAME=FILE.npy,...), or say which number it always is (--fix '${input}=NUMBER')`,
    { details: spec },
  );
}

/** Inputs that do not belong to the graph. */
export function badInput(spec: { where: string; input: string; found: string; expected: string }): PruneError {
  return new PruneError(
    "ERR_GRAPH_INPUT",
    `${spec.where}: input '${spec.input}': found ${spec.found}, expected ${spec.expected}; prepare the data as the model wants it`,
    { details: spec },
  );
}

/** Derivatives of an operator that has none here. */
export function noDerivative(spec: { node: string; what: string }): PruneError {
  return new PruneError(
    "ERR_NO_DERIVATIVE",
    `node ${spec.node}: has no ${spec.what} here; keep the weights before it dense, or prune by magnitude, which needs no gradients`,
    { details: spec },
  );
}

/** A weight whose inputs are not handed out, and why: "it belongs to a transposed convolution". */
export function noLayerInputs(where: string, param: string, why: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${where}: what '${param}' is multiplied with is not handed out: ${why}; leave it dense (--keep-dense ${param}), or take a method for the whole network`,
    { details: { where, param, why } },
  );
}

/** A weight that lies in a file which nothing writes. */
export function notStored(where: string, param: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${where}: the weight '${param}' lies in a file and cannot be changed; open the graph with tensors that have 'store'`,
    { details: { where, param } },
  );
}

/** A number that is not finite on its way through the graph. */
export function notFiniteInput(spec: { where: string; param: string; example: number }): PruneError {
  return new PruneError(
    "ERR_NOT_FINITE",
    `${spec.where}: the inputs of '${spec.param}' for example ${spec.example} are not all finite; check the weights before it and how the data is normalised`,
    { details: spec },
  );
}

/** Gradient rows that cannot be cut into batches of one size. */
export function unevenRows(where: string, examples: number, batch: number): PruneError {
  return new PruneError(
    "ERR_UNEVEN_ROWS",
    `${where}: ${examples} examples cannot be cut into rows of ${batch}; ask for a positive multiple of ${batch}`,
    { details: { where, examples, batch } },
  );
}

/** A loss that is no number while a graph trains. */
export function trainingDiverged(where: string, step: number, cause?: unknown): PruneError {
  return new PruneError(
    "ERR_DIVERGED",
    `${where}: the loss is not finite at step ${step} of training; lower the learning rate`,
    { fault: "runtime", details: { where, step }, cause },
  );
}

/** A step of training on examples of which nothing counts in the loss. */
export function nothingCounts(where: string, step: number): PruneError {
  return new PruneError(
    "ERR_DATA_MISMATCH",
    `${where}: at step ${step} of training nothing of the examples counts in the loss, such as where every position is left out; leave such examples out, or take larger batches`,
    { details: { where, step } },
  );
}

/** A training state of another graph or optimizer. */
export function stateMismatch(tensor: string, found: number | undefined, expected: number): PruneError {
  return new PruneError(
    "ERR_TRAINING_STATE",
    `the training state holds ${found === undefined ? "no" : `${found} numbers as`} '${tensor}', expected are ${expected} numbers; it belongs to another model or optimizer`,
    { details: { tensor, found, expected } },
  );
}

/** A cut that did not come out as it was foretold: nothing of it is of use. */
export function cutDiffers(found: string): PruneError {
  return new PruneError(
    "ERR_CUT",
    `the cut network is not what the whole one says: ${found}; nothing is written, and the model is worth a report`,
    { fault: "runtime", details: { found } },
  );
}
