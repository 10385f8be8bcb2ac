/** How the methods on gradient rows are run when the user leaves it open. */
import type { RunPlan, RunSituation } from "@secateur/core";

/** Gradient rows at most and at least, and the multiply-adds n^2 p of a round from which on they become fewer: some ten seconds. */
const mostRows = 512;
const leastRows = 128;
const mostWork = 2e10;

/** Weights used at more positions than this make gradient rows dear: a row is then the mean of a mini-batch. */
const mostReuse = 8;
const largestBatch = 16;

/** One stage of few gradient rows: groups are few, and what tells them apart shows in few rows. Never looks at data. */
export function rowsPlan({ examples, prunable, weightReuse = 1 }: RunSituation): RunPlan {
  const affordable = Math.floor(Math.sqrt(mostWork / Math.max(1, prunable)));
  const rows = Math.max(leastRows, Math.min(mostRows, affordable));
  const batch = weightReuse > mostReuse ? Math.max(1, Math.min(largestBatch, Math.floor(examples / rows))) : 1;
  return {
    stages: 1,
    curvature: "empirical-fisher",
    examples: rows,
    batch,
    ridge: "auto",
    reason: "one stage of few gradient rows, as costs of whole groups are taken in the space of the rows",
  };
}
