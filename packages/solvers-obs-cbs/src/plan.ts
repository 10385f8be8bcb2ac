/** How the Brain Surgeon methods are run when the user leaves it open. Constants chosen on held-out training images of MNIST. */
import type { RunPlan, RunSituation } from "@secateur/core";

/** One stage on the empirical Fisher, as published. Never looks at data. */
export function obsPlan(_situation: RunSituation): RunPlan {
  return {
    stages: 1,
    curvature: "empirical-fisher",
    examples: 2000,
    batch: 1,
    ridge: "auto",
    reason: "one stage, as published; the rows are few enough for an exact inverse of the whole network's curvature",
  };
}
