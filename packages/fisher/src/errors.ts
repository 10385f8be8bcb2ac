/** Every error the fisher package throws itself, one factory each. */
import { PruneError } from "@secateur/core";

/** The model cannot give gradient rows. */
export function noGradients(estimator: string, model: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${estimator} needs gradient rows, and the model '${model}' has no gradientRows(); use a model adapter that offers them, or a solver that needs no curvature (magnitude)`,
  );
}

/** The model cannot be linearised. */
export function noLinearization(estimator: string, model: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${estimator} needs products with the network's Jacobian, and the model '${model}' has no linearize(); use the empirical-fisher estimator`,
  );
}

/** Too few training examples for the rows asked for. */
export function tooFewExamples(spec: { data: string; size: number; rows: number; batch: number }): PruneError {
  const { data, size, rows, batch } = spec;
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `curvature: ${rows} rows of ${batch} examples need ${rows * batch} of the ${size} examples in '${data}'; ask for fewer examples or a smaller batch`,
  );
}

/** A damping that is negative or not finite. */
export function badRidge(found: number): PruneError {
  return new PruneError(
    "ERR_OPTION",
    `curvature: ridge ${found} is out of range; give "auto" or a finite number of at least 0`,
  );
}

/** Gradient rows whose shapes do not belong together. */
export function badRows(message: string): PruneError {
  return new PruneError("ERR_SHAPE", `gradient rows: ${message}`);
}
