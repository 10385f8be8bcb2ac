import type { Taken } from "../accept-step.ts";
import type { LayerNumbers } from "../run-stage.ts";

/**
 * A layer's numbers where the end of a run took something else than its last stage left: after a single stage the mask alone has the error before the
 * re-fit; of anything else no error is known.
 */
export function numbersOfTaken(
  own: LayerNumbers,
  { taken, stages }: { taken: Taken | undefined; stages: number },
): Partial<LayerNumbers> {
  if (taken === undefined || taken === "step") return own;
  const { relativeError: _, maskedError, ...rest } = own;
  return taken === "mask" && stages === 1 ? { ...rest, relativeError: maskedError, maskedError } : rest;
}
