/** Learning rates as functions of the step. */

/** The rate of a step, counted from 0, of a run of `steps`. */
export type LearningRate = (step: number, steps: number) => number;

/** Linear warm-up over the first tenth of the steps to `peak`, then linear to 0. */
export function oneCycle(peak: number): LearningRate {
  return (step, steps) => {
    const warmUp = Math.floor(0.1 * steps);
    return step < warmUp ? (peak * (step + 1)) / (warmUp + 1) : (peak * (steps - step)) / (steps - warmUp);
  };
}

/** Half a cosine from `peak` to `least` (default 0). */
export function cosine(peak: number, least = 0): LearningRate {
  return (step, steps) => least + ((peak - least) * (1 + Math.cos((Math.PI * step) / steps))) / 2;
}

/** Constant at `peak`, times `factor` (default 0.1) at each of the given fractions of the run (default a half and three quarters). */
export function stepwise(
  peak: number,
  { at = [0.5, 0.75], factor = 0.1 }: { at?: readonly number[]; factor?: number } = {},
): LearningRate {
  return (step, steps) => peak * factor ** at.filter((fraction) => step >= fraction * steps).length;
}

/** The same rate throughout. */
export function constant(rate: number): LearningRate {
  return () => rate;
}
