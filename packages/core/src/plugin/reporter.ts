/** Files about finished runs: results only, no models and no data. */

import type { LimitReached } from "../budget/budget.ts";
import type { RoundReport } from "../retraining/round-report.ts";
import type { LayerReport } from "../runner/prune.ts";
import type { StageReport } from "../runner/run-stage.ts";
import type { RunPlan } from "../stages/plan.ts";
import type { Stage } from "../stages/stage.ts";
import type { Evaluation } from "../task/evaluate.ts";

/** One pruning run, as a report shows it. */
export interface ReportRun {
  readonly solver: string;
  /** The sparsity asked for. */
  readonly sparsity: number;
  readonly dense: Evaluation;
  readonly pruned: Evaluation;
  /** "calibration": there were no data apart for testing, so that both were measured on what the run worked with. Absent: "test". */
  readonly measuredOn?: "test" | "calibration";
  /** Statistics of batch normalisation were measured anew before `dense` was. */
  readonly remeasured?: true;
  readonly nonzeros: number;
  readonly prunable: number;
  readonly objective: number;
  readonly layers: readonly LayerReport[];
  readonly stages: readonly StageReport[];
  readonly plan: RunPlan;
  /** What was limited beside the number of single weights, and what the result comes to. */
  readonly limits?: readonly LimitReached[];
  /** The list of stages as it was made before the run. */
  readonly schedule?: readonly Stage[];
  /** Rounds of pruning and retraining; absent without retraining. */
  readonly rounds?: readonly ReportRound[];
  readonly timing: { readonly gradientMs: number; readonly solveMs: number; readonly totalMs: number };
  /** Size of the written file, raw and gzipped, where measured. */
  readonly fileBytes?: number;
  readonly gzipBytes?: number;
}

/** One round of pruning and training, as a report shows it. */
export type ReportRound = Omit<
  RoundReport,
  "sparsity" | "kept" | "nonzeros" | "lastRate" | "stages" | "notes" | "pruneMs"
>;

/** A report's content. */
export interface ReportContent {
  readonly title: string;
  /** One or two sentences under the title. */
  readonly summary: string;
  readonly runs: readonly ReportRun[];
  /** As typed. */
  readonly command: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Further facts for the table at the end, label and text. */
  readonly facts: readonly (readonly [string, string])[];
  /** Shown in full where people can unfold it. */
  readonly recipe?: object;
  /** Code of ECharts for browsers, for pages with live plots; absent: drawings only. `@secateur/report/node` reads it. */
  readonly plottingLibrary?: string;
}

/** Makes a file about one run or several. */
export interface Reporter {
  /** Endings of its files' names, lower case, with the dot: `--report` chooses by them. At least one. */
  readonly endings: readonly string[];
  /** The whole file; the same content gives the same file. At least one run. */
  report(content: ReportContent): string | Uint8Array | Promise<string | Uint8Array>;
}
