/** How the methods on gradient rows are run when the user leaves it open. */
import type { RunPlan, RunSituation } from "@secateur/core";
import { fewRows } from "./defaults.ts";

/** Weights used at more positions than this make gradient rows dear: a row is then the mean of a mini-batch. */
const mostReuse = 8;
const largestBatch = 16;

/** One stage of few gradient rows: groups are few, and what tells them apart shows in few rows. Never looks at data. */
export function rowsPlan({ examples, weightReuse = 1 }: RunSituation): RunPlan {
  const batch = weightReuse > mostReuse ? Math.max(1, Math.min(largestBatch, Math.floor(examples / fewRows))) : 1;
  return {
    stages: 1,
    curvature: "empirical-fisher",
    examples: fewRows,
    batch,
    ridge: "auto",
    reason: "one stage of few gradient rows, as costs of whole groups are taken in the space of the rows",
  };
}
