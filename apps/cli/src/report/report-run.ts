/** What a report knows about one run: results only, no models and no data. */
import type { Evaluation, LayerReport, RunPlan, StageReport } from "@secateur/core";
import type { RoundReport } from "@secateur/imp-scheduler";

/** One pruning run, as a report shows it. */
export interface ReportRun {
  readonly solver: string;
  /** The sparsity asked for. */
  readonly sparsity: number;
  readonly dense: Evaluation;
  readonly pruned: Evaluation;
  readonly nonzeros: number;
  readonly prunable: number;
  readonly objective: number;
  readonly layers: readonly LayerReport[];
  readonly stages: readonly StageReport[];
  readonly plan: RunPlan;
  /** Rounds of pruning and retraining; absent without retraining. */
  readonly rounds?: readonly RoundReport[];
  readonly timing: { readonly gradientMs: number; readonly solveMs: number; readonly totalMs: number };
  /** Size of the written file, raw and gzipped, where measured. */
  readonly fileBytes?: number;
  readonly gzipBytes?: number;
}

/** Whether a stage had a model made from gradients; without, it was H = I. */
export function takesGradients({ examples }: StageReport): boolean {
  return examples !== undefined;
}

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
}
