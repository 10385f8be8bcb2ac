/** Every error the Brain Surgeon solvers throw themselves, one factory each. */
import { PruneError } from "@secateur/core";

/** The curvature gives no single columns of its gradient rows. */
export function needsColumns(who: string): PruneError {
  return new PruneError(
    "ERR_INCOMPATIBLE",
    `${who} needs single columns of the gradient rows, which this curvature does not offer; use the empirical-fisher curvature`,
    { details: { who } },
  );
}

/** A saliency that the curvature leaves undefined. */
export function notPositive(spec: { index: number; value: number }): PruneError {
  return new PruneError(
    "ERR_SINGULAR",
    `OBS saliency: the inverse curvature has ${spec.value} on its diagonal at weight ${spec.index}, which is not positive; raise the ridge`,
    { fault: "runtime", details: spec },
  );
}
