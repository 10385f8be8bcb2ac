import type { PruneDocument } from "../prune/prune-document.ts";
import type { PruneOutcome } from "../prune/prune-network.ts";
import { formatBytes, formatFraction } from "../text/format.ts";
import { shellCommand } from "../text/shell-command.ts";
import { makeReport } from "./report.ts";
import type { ReportRun } from "./report-run.ts";

/** The report of one `secateur prune`, as HTML. */
export async function pruneReport(spec: {
  document: PruneDocument;
  outcome: PruneOutcome;
  argv: readonly string[];
}): Promise<string> {
  const { document, outcome, argv } = spec;
  const { recipe, versions, peakMemoryBytes } = document;
  return await makeReport({
    title: `${recipe.arch} pruned to ${formatFraction(document.sparsity)}`,
    summary: `By ${recipe.solver} on ${recipe.data}, seed ${recipe.seed}.`,
    runs: [reportRun({ outcome, solver: recipe.solver, sparsity: recipe.sparsity })],
    command: shellCommand("secateur", argv),
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
  });
}

/** What a report shows of a run. */
export function reportRun(spec: { outcome: PruneOutcome; solver: string; sparsity: number }): ReportRun {
  const { outcome, solver, sparsity } = spec;
  const { dense, pruned, result, rounds } = outcome;
  const { nonzeros, prunable, objective, layers, stages, plan = {}, timing } = result;
  const run = { solver, sparsity, dense, pruned, nonzeros, prunable, objective, layers, stages, plan, timing };
  return rounds ? { ...run, rounds } : run;
}
