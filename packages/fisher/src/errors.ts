/** Every error the fisher package throws itself, one factory each. */
import { PruneError } from "@secateur/core";

/** The model cannot give gradient rows. */
export function noGradients(estimator: string, model: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${estimator} needs gradient rows, and the model '${model}' has no gradientRows(); use a model adapter that offers them, or a solver that needs no curvature (magnitude)`,
    { details: { estimator, model } },
  );
}

/** The model cannot be linearised. */
export function noLinearization(estimator: string, model: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${estimator} needs products with the network's Jacobian, and the model '${model}' has no linearize(); use the empirical-fisher estimator`,
    { details: { estimator, model } },
  );
}

/** Too few training examples for the rows asked for. */
export function tooFewExamples(spec: { data: string; size: number; rows: number; batch: number }): PruneError {
  const { data, size, rows, batch } = spec;
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `curvature: ${rows} rows of ${batch} examples need ${rows * batch} of the ${size} examples in '${data}'; ask for fewer examples or a smaller batch`,
    { details: spec },
  );
}

/** A damping that is negative or not finite. */
export function badRidge(found: number): PruneError {
  return new PruneError(
    "ERR_OPTION",
    `curvature: ridge ${found} is out of range; give "auto" or a finite number of at least 0`,
    { details: { found } },
  );
}

/** Gradient rows whose shapes do not belong together. */
export function badRows(message: string): PruneError {
  return new PruneError("ERR_SHAPE", `gradient rows: ${message}`, { details: { message } });
}

const raiseDamping = "raise the ridge (--ridge, from 1e-6 on), or take more gradient rows (--examples)";

/** The inverse in dual form without damping. */
export function undampedDual(spec: { rows: number; dim: number; damping: number }): PruneError {
  const { rows, dim, damping } = spec;
  return new PruneError(
    "ERR_SINGULAR",
    `inverse: ${rows} gradient rows for ${dim} weights leave the curvature singular (pivot ${rows} at the latest is not positive with damping ${damping}); ${raiseDamping}`,
    { fault: "runtime", details: spec },
  );
}

/** WoodFisher's recursion without damping. */
export function undampedRecursion(spec: { rows: number; dim: number; damping: number }): PruneError {
  return new PruneError(
    "ERR_SINGULAR",
    `inverse: the recursion over ${spec.rows} rows starts from I / damping (pivot 0 of ${spec.dim} is not positive with damping ${spec.damping}); ${raiseDamping}, or use the primal form`,
    { fault: "runtime", details: spec },
  );
}

/** An inverse whose smaller side is too large. */
export function inverseTooLarge(spec: { rows: number; dim: number; most: number }): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `inverse: ${spec.rows} gradient rows and ${spec.dim} weights are both more than ${spec.most}; take fewer examples, or smaller blocks (blockSize)`,
    { details: spec },
  );
}

/** K-FAC of something else than dense layers' outer products. */
export function notKronecker(message: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `a Kronecker-factored curvature: ${message}; use the empirical-fisher curvature`,
    { details: { message } },
  );
}

/** The model gives no second moments of its layers. */
export function noMoments(estimator: string, model: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${estimator} needs second moments of the layers, and the model '${model}' has no layerMoments(); use the gauss-newton or the empirical-fisher estimator`,
    { details: { estimator, model } },
  );
}

/** The model does not say what its layers see. */
export function noLayerInputs(estimator: string, model: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${estimator} needs the inputs of layers, and the model '${model}' has no layerInputs(); use a model adapter that offers them, or a solver for the whole network (chita)`,
    { details: { estimator, model } },
  );
}

/** A layer that no example reaches. */
export function noInputs(model: string, params: readonly string[]): PruneError {
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `curvature of '${model}': no calibration example reaches the layer of ${params.join(", ")}; give at least one example, or leave the layer out`,
    { details: { model, params } },
  );
}

/** A damping, relative to H, that is negative or not finite. */
export function badShare(found: number): PruneError {
  return new PruneError(
    "ERR_OPTION",
    `activations: damping ${found} is out of range; give a finite fraction of the mean diagonal of at least 0, such as 0.01`,
    { details: { found } },
  );
}

/** Rows of inputs that are too few to be enough. */
export function badRowsPerInput(found: number, least: number): PruneError {
  return new PruneError(
    "ERR_OPTION",
    `activations: rowsPerInput ${found} is out of range; give at least ${least}, or Infinity for all rows`,
    { details: { found, least } },
  );
}
