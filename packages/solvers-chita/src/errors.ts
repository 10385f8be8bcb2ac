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
