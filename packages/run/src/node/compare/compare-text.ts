import { mainMeasure } from "@secateur/core";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFraction,
  formatMeasure,
  formatNumber,
  formatTable,
  shownArchitecture,
} from "@secateur/report/text";
import type { CompareDocument } from "../../compare/compare-document.ts";

/** What `secateur compare` prints for people: accuracy by solver and sparsity, then what each run cost. */
export function compareText(document: CompareDocument): string {
  const { dense, measuredOn, keptDense, runs, failed = [], prunable, arch, data, peakMemoryBytes } = document;
  const right = { align: "right" } as const;
  const measure = mainMeasure(dense);
  const all = [...runs, ...failed];
  const sparsities = [...new Set(all.map(({ sparsity }) => sparsity))].sort((a, b) => a - b);
  const solvers = [...new Set(all.map(({ solver }) => solver))];
  const reached = (solver: string, sparsity: number): string => {
    const run = runs.find((one) => one.solver === solver && one.sparsity === sparsity);
    if (run !== undefined) return formatMeasure(mainMeasure(run));
    return failed.some((one) => one.solver === solver && one.sparsity === sparsity) ? "failed" : "not run";
  };
  const accuracies = formatTable(
    [{ title: `${measure.name} at` }, ...sparsities.map((sparsity) => ({ title: formatFraction(sparsity), ...right }))],
    solvers.map((solver) => [solver, ...sparsities.map((sparsity) => reached(solver, sparsity))]),
  );
  const details = formatTable(
    [
      { title: "solver" },
      { title: "sparsity", ...right },
      { title: "objective", ...right },
      { title: "stages", ...right },
      { title: "rows", ...right },
      { title: "ridge", ...right },
      { title: "gradients", ...right },
      { title: "solving", ...right },
    ],
    runs.map((run) => [
      run.solver,
      formatFraction(run.sparsity),
      run.taken === "last" ? "" : formatNumber(run.objective),
      String(run.stages),
      run.examples === undefined ? "" : formatCount(run.examples),
      run.ridge === undefined ? "" : formatNumber(run.ridge),
      run.sharesGradients && run.stages === 1 ? "shared" : formatDuration(run.timing.gradientMs),
      formatDuration(run.timing.solveMs),
    ]),
  );
  const before = `${shownArchitecture(arch)} on ${data}: ${formatMeasure(measure)} ${measure.name} on ${formatCount(dense.examples)} ${measuredOn} examples, ${document.remeasured ? "statistics of batch normalisation measured anew, " : ""}${formatCount(prunable)} prunable weights\n${keptDense ? `kept dense: ${keptDense.join(", ")}\n` : ""}`;
  const failures = failed.map(
    ({ solver, sparsity, message, code }) => `${solver} at ${sparsity} failed: ${message} [${code}]\n`,
  );
  return `${before}\n${accuracies}\n${details}\n${failures.join("")}peak memory ${formatBytes(peakMemoryBytes)}\n`;
}
