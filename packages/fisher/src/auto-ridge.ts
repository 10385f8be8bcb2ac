import type { FactorView, Mask } from "@secateur/core";
import { badRidge } from "./errors.ts";

/** Half the mean eigenvalue of the row Gram; chosen on held-out training data of MNIST, flat between a third and one. */
export const shareOfMean = 0.5;

/**
 * A ridge from the rows alone: half of trace(H) / n, the trace taken over the kept weights. A direction in which fewer than
 * half an example's worth of curvature was seen is noise. It scales with the loss, the network, the number of rows and the
 * batch (the mean of B examples has about 1/B of the variance).
 *
 * @param view - undamped
 * @param examples - n, the number of independent draws behind the rows
 * @param kept - flat mask; default: all weights
 */
export function autoRidge(view: FactorView, examples: number, kept?: Mask): number {
  const norms = view.columnNormsSquared();
  let trace = 0;
  for (let j = 0; j < norms.length; j++) if (!kept || kept[j] === 1) trace += norms[j]!;
  return (shareOfMean * view.scale * trace) / examples;
}

/** The ridge asked for, or the automatic one. @throws ERR_OPTION */
export function chooseRidge(asked: number | "auto" = "auto", view: FactorView, examples: number, kept?: Mask): number {
  if (asked === "auto") return autoRidge(view, examples, kept);
  if (!(asked >= 0 && Number.isFinite(asked))) throw badRidge(asked);
  return asked;
}
