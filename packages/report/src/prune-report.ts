/** The report of one pruning run. */

import type { ReportContent, ReportRun } from "@secateur/core";
import { formatBytes, formatFraction } from "./text/format.ts";
import { shownArchitecture } from "./text/shown-architecture.ts";

/** What a report shows of a run beside its numbers: the parts of the JSON document of `secateur prune` that it reads. */
export interface PruneReportDocument {
  readonly sparsity: number;
  readonly keptDense?: readonly string[];
  readonly unprunable?: readonly { readonly weight: string; readonly reason: string }[];
  readonly peakMemoryBytes: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly recipe: {
    readonly model: string;
    readonly modelSha256: string;
    readonly arch: string;
    readonly engine?: string;
    readonly data: string;
    readonly solver: string;
    readonly sparsity?: number;
    readonly seed: number;
    readonly backend: string;
  };
}

/** Evaluations, and what core's `prune` returned between them. */
export type ReportOutcome = Pick<ReportRun, "dense" | "pruned" | "measuredOn" | "remeasured"> & {
  readonly result: Pick<
    ReportRun,
    "nonzeros" | "prunable" | "objective" | "layers" | "stages" | "rounds" | "timing"
  > & {
    readonly plan?: ReportRun["plan"] | undefined;
    readonly schedule?: ReportRun["schedule"];
    readonly limits?: ReportRun["limits"];
  };
};

/**
 * The report of one `secateur prune`: what a reporter writes.
 *
 * @param spec.command - as typed, to repeat the run
 */
export function pruneContent(spec: {
  document: PruneReportDocument;
  outcome: ReportOutcome;
  command: string;
}): ReportContent {
  const { document, outcome, command } = spec;
  const { recipe, versions, peakMemoryBytes } = document;
  return {
    title: `${shownArchitecture(recipe.arch)} pruned to ${formatFraction(document.sparsity)}`,
    summary: `By ${recipe.solver} on ${recipe.data}, seed ${recipe.seed}.`,
    runs: [reportRun({ outcome, solver: recipe.solver, sparsity: recipe.sparsity ?? document.sparsity })],
    command,
    versions,
    facts: [
      ["model", recipe.model],
      ["model SHA-256", recipe.modelSha256],
      ...(document.keptDense ? [["kept dense", document.keptDense.join(", ")] as const] : []),
      ["seed", String(recipe.seed)],
      ["kernels", recipe.backend],
      ...(recipe.engine === undefined ? [] : [["TensorFlow.js engine", recipe.engine] as const]),
      ...(document.unprunable ?? []).map(({ weight, reason }) => ["stays dense", `${weight}: ${reason}`] as const),
      ["peak memory", formatBytes(peakMemoryBytes)],
    ],
    recipe,
  };
}

/** What a report shows of a run. */
export function reportRun(spec: { outcome: ReportOutcome; solver: string; sparsity: number }): ReportRun {
  const { outcome, solver, sparsity } = spec;
  const { dense, pruned, measuredOn, remeasured, result } = outcome;
  const { nonzeros, prunable, objective, layers, stages, rounds, plan = {}, schedule, limits, timing } = result;
  const run = { solver, sparsity, dense, pruned, nonzeros, prunable, objective, layers, stages, plan, timing };
  return {
    ...run,
    ...(measuredOn ? { measuredOn } : {}),
    ...(remeasured ? { remeasured } : {}),
    ...(schedule ? { schedule } : {}),
    ...(limits ? { limits } : {}),
    ...(rounds ? { rounds } : {}),
  };
}
