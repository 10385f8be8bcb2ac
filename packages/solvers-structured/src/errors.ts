/** Every error the solvers of groups throw themselves, one factory each. */
import { PruneError } from "@secateur/core";

/** Rows of weights share one H, so that a group has to be the same columns of all of them. */
export function onlyWholeColumns(who: string, problem: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${who} cannot solve '${problem}': its rows share one H, and a unit does not own whole columns of it; give units inputs or columns (--units), or use layerwise`,
    { details: { who, problem } },
  );
}

/** H is written out. */
export function tooManyInputs(who: string, spec: { problem: string; found: number; most: number }): PruneError {
  const { problem, found, most } = spec;
  return new PruneError(
    "ERR_IMPOSSIBLE",
    `${who} cannot solve '${problem}': it has ${found} inputs, and the curvature of at most ${most} is written out; exclude it, or use structured-obs for the whole network`,
    { details: { who, ...spec } },
  );
}

/** A number of H that is none. */
export function notFiniteCurvature(who: string, spec: { problem: string; index: number; value: number }): PruneError {
  const { problem, index, value } = spec;
  return new PruneError(
    "ERR_NOT_FINITE",
    `${who} cannot solve '${problem}': entry ${index} of H is ${value}; every entry must be finite: look for NaN or overflow in the layer's inputs`,
    { details: { who, ...spec } },
  );
}

/** The curvature gives no single columns of its gradient rows. */
export function needsColumns(who: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${who} needs single columns of the gradient rows, which this curvature does not offer; use the empirical-fisher curvature`,
    { details: { who } },
  );
}

/** What is left of a curvature without damping cannot be inverted. */
export function needsDamping(who: string): PruneError {
  return new PruneError(
    "ERR_SINGULAR",
    `${who}: the curvature has no damping, and gradient rows alone say nothing of most directions; raise the ridge`,
    { fault: "runtime", details: { who } },
  );
}
