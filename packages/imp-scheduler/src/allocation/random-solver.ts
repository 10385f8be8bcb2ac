import { type Saliency, type Solver, selectorFrom, solverFrom } from "@secateur/core";

/** Scores drawn at random from the run's seed: the mask that every method has to beat. */
export const randomSaliency: Saliency = {
  needs: {},
  score: ({ w }, ctx) => {
    const rng = ctx.rng.fork("random mask");
    // 52 bits, so that ties, which would go to the lower index, do not matter.
    return Float64Array.from(w.data, () => rng.next() + rng.next() / 2 ** 32);
  },
};

/** Random pruning as a solver: kept weights stay as they are. The control of Frankle et al. 2021, *Pruning at Initialization: Why Are We Missing the Mark?* */
export function random(): Solver {
  return solverFrom(selectorFrom(randomSaliency));
}
