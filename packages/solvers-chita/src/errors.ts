/** Every error the CHITA solvers throw themselves, one factory each. */
import { PruneError } from "@secateur/core";

/** A curvature whose rows exist only as products. */
export function needsColumns(who: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `chita: ${who} needs single columns of the gradient rows, which this curvature does not offer; use the empirical-fisher curvature, or conjugate gradients`,
    { details: { who } },
  );
}

/** Numbers too large for their dtype. */
export function overflow(problem: string): PruneError {
  return new PruneError(
    "ERR_OVERFLOW",
    `chita cannot solve '${problem}': its numbers overflowed; scale the gradient rows down (the best weights stay the same if the ridge is scaled by the square)`,
    { fault: "runtime", details: { problem } },
  );
}

/** More rows than an n x n system is worth. */
export function tooManyRows(where: string, rows: number, most: number): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${where}: ${rows} gradient rows, and solving by columns works in the space of at most ${most}; take means of neighbouring rows (mini-batches)`,
    { details: { where, rows, most } },
  );
}

/** Gradient rows that cannot be summed up. */
export function numbersTooLarge(where = "chita by columns"): PruneError {
  return new PruneError(
    "ERR_NOT_FINITE",
    `${where}: the gradient rows hold NaN or infinity, or numbers whose squares overflow f32; leave such rows out, or divide all by s and the ridge by s^2`,
    { details: { where } },
  );
}

/** A ridge that the space of the rows cannot do without. */
export function rowsNeedDamping(where: string, damping: number): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${where}: the ridge is ${damping}, and solving by columns needs one above 0; set --ridge, for example 1e-4`,
    { details: { where, damping } },
  );
}
