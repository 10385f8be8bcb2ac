/**
 * Gradients that several runs of a comparison need alike are taken once: the first stage of every run starts from the same
 * weights, so runs whose plans ask for the same curvature share one estimate. Runs of several stages take fresh gradients
 * in all later ones, at weights of their own.
 */
import type { CurvatureEstimator, Estimate, ResolvedPlan } from "@secateur/core";

/** What decides the first stage's gradients: runs of equal keys share them. */
export function gradientKey(plan: ResolvedPlan): string {
  const { curvature, examples, batch, ridge, firstOrder, distill, temperature, stages, targetStages } = plan;
  // The dense network's own outputs are the targets, so the first stage has no gradient; later ones have, from outputs on certain examples.
  const hasGradient = firstOrder && !distill;
  const hasTeacher = firstOrder && distill && stages + targetStages > 1;
  return JSON.stringify({ curvature, examples, batch, ridge, hasGradient, hasTeacher, temperature });
}

/** One estimate at a time, kept as long as runs to come need it. */
export interface SharedGradients {
  /**
   * An estimator for one run.
   *
   * @param key - of the run's plan
   * @param inner - takes the gradients where they are not at hand
   * @param isKept - whether a later run will ask for the same key: then this run leaves the estimate behind
   * @returns the estimator, and whether the run's first stage was served from what an earlier run took
   */
  forRun(spec: { key: string; inner: CurvatureEstimator; isKept: boolean }): {
    estimator: CurvatureEstimator;
    wasShared(): boolean;
  };
  /** Frees what is kept. */
  release(): void;
}

/** Nothing is kept at first. */
export function shareGradients(): SharedGradients {
  let kept: { key: string; estimate: Estimate } | undefined;
  const release = (): void => {
    kept?.estimate.release();
    kept = undefined;
  };
  return {
    release,
    forRun({ key, inner, isKept }) {
      let stage = 0;
      let shared = false;
      const estimator: CurvatureEstimator = {
        name: inner.name,
        provides: inner.provides,
        async estimate(request, ctx) {
          // Only the first stage starts from the checkpoint's weights.
          if (stage++ > 0) return await inner.estimate(request, ctx);
          shared = kept?.key === key;
          if (kept && !shared) release();
          const estimate = kept?.estimate ?? (await inner.estimate(request, ctx));
          kept = isKept ? { key, estimate } : undefined;
          // The stage releases what it was given; what is kept is released by the last run that needs it.
          return isKept ? { ...estimate, release: () => {} } : estimate;
        },
      };
      return { estimator, wasShared: () => shared };
    },
  };
}

/**
 * The order in which runs are made: those that share gradients follow each other, runs of one stage first, so that
 * what they share is not held in memory while a later one goes through its stages.
 *
 * @returns positions in the given list
 */
export function sharingOrder(runs: readonly { key: string | undefined; stages: number }[]): readonly number[] {
  const keys = [...new Set(runs.map(({ key }) => key))];
  const place = (index: number) => [keys.indexOf(runs[index]!.key), Number(runs[index]!.stages > 1), index] as const;
  return runs
    .map((_run, index) => index)
    .sort((a, b) => {
      const [x, y] = [place(a), place(b)];
      return x[0] - y[0] || x[1] - y[1] || x[2] - y[2];
    });
}
