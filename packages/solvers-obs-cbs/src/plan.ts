/** How the Brain Surgeon methods are run when the user leaves it open. Constants chosen on held-out training images of MNIST. */
import type { RunPlan, RunSituation } from "@secateur/core";

/** Rows of methods that need an inverse of the whole network's curvature: n^2 p / 2 multiply-adds for its diagonal. */
const inverseRows = 2000;

/** The plan of obs and woodfisher: one stage on the empirical Fisher, as published. Never looks at data. */
export function obsPlan(_situation: RunSituation): RunPlan {
  return {
    stages: 1,
    curvature: "empirical-fisher",
    examples: inverseRows,
    batch: 1,
    ridge: "auto",
    reason: "one stage, as published; the rows are few enough for an exact inverse of the whole network's curvature",
  };
}

/** Rows of a method that works by products alone, as published for MLPNet, and at least. */
const productRows = 10_000;
const leastRows = 1000;
/** Beyond this many entries of G the rows become fewer. */
const mostEntries = 3.5e8;
/** Weights used at more positions than this make products with a Gauss-Newton matrix dear: rows are stored instead. */
const mostReuse = 8;

/**
 * The plan of cbs: one stage on as many examples as products with them stay quick; the Gauss-Newton matrix with softened class
 * probabilities, which is trusted farther than the empirical Fisher, where the network's weights are used few times each.
 * Never looks at data.
 */
export function cbsPlan(situation: RunSituation): RunPlan {
  const { weightReuse = 1, curvature } = situation;
  if (curvature === "empirical-fisher" || (weightReuse > mostReuse && curvature !== "gauss-newton")) {
    return cbsSelectorPlan(situation);
  }
  return {
    stages: 1,
    curvature: "gauss-newton",
    examples: rowsFor(situation),
    batch: 1,
    ridge: "auto",
    ridgeFactors: [2],
    temperature: 2,
    reason:
      "one stage; no inverse is needed, so it takes many examples, and class probabilities are softened for the far step",
  };
}

/** The plan of the selector cbs, whose updater may need an inverse, and of cbs on stored rows. Never looks at data. */
export function cbsSelectorPlan(situation: RunSituation): RunPlan {
  return {
    stages: 1,
    curvature: "empirical-fisher",
    examples: rowsFor(situation),
    batch: 1,
    ridge: "auto",
    // Many rows leave an automatic ridge small for a single far step.
    ridgeFactors: [2],
    reason: "one stage, as published; no inverse is needed, so it takes many gradient rows",
  };
}

function rowsFor({ prunable }: RunSituation): number {
  return Math.max(leastRows, Math.min(productRows, Math.floor(mostEntries / Math.max(1, prunable))));
}
