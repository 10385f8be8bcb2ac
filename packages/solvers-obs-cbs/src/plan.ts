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

/** The plan of cbs: one stage on as many rows as products with them stay quick. Never looks at data. */
export function cbsPlan({ prunable }: RunSituation): RunPlan {
  const rows = Math.max(leastRows, Math.min(productRows, Math.floor(mostEntries / Math.max(1, prunable))));
  return {
    stages: 1,
    curvature: "empirical-fisher",
    examples: rows,
    batch: 1,
    ridge: "auto",
    // Many rows leave an automatic ridge small for a single far step.
    ridgeFactors: [2],
    reason: "one stage, as published; no inverse is needed, so it takes many gradient rows",
  };
}
