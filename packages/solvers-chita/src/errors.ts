/** Every error the CHITA solvers throw themselves, one factory each. */
import { PruneError } from "@secateur/core";

/** CHITA prunes a network flattened to one row. */
export function onlyOneRow(problem: string, rows: number): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `chita cannot solve '${problem}': its weights have ${rows} rows that share one curvature; chita takes one flattened row, use a layer-wise solver for this problem`,
  );
}

/** Weights, curvature and gradient of different sizes. */
export function sizesDiffer(problem: string, weights: number, [curvature, gradient]: readonly number[]): PruneError {
  return new PruneError(
    "ERR_SHAPE",
    `chita cannot solve '${problem}': ${weights} weights, a curvature of ${curvature} and a gradient of ${gradient}; all three must agree`,
  );
}

/** The re-fit has no unique solution. */
export function singularRefit(pivot: number, damping: number): PruneError {
  return new PruneError(
    "ERR_SINGULAR",
    `chita re-fit: the curvature on the support is singular (pivot ${pivot} is not positive with damping ${damping}); raise the ridge`,
    { fault: "runtime" },
  );
}

/** A curvature whose rows exist only as products. */
export function needsColumns(who: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `chita: ${who} needs single columns of the gradient rows, which this curvature does not offer; use the empirical-fisher curvature, or conjugate gradients`,
  );
}

/** Numbers too large for their dtype. */
export function overflow(problem: string): PruneError {
  return new PruneError(
    "ERR_OVERFLOW",
    `chita cannot solve '${problem}': its numbers overflowed; scale the gradient rows down (the best weights stay the same if the ridge is scaled by the square)`,
    { fault: "runtime" },
  );
}
