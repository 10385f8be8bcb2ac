import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFraction,
  formatNumber,
  formatPercent,
  formatTable,
} from "@secateur/report/text";
import type { CompareDocument } from "@secateur/run";

/** What `secateur compare` prints for people: accuracy by solver and sparsity, then what each run cost. */
export function compareText(document: CompareDocument): string {
  const { dense, keptDense, runs, failed, prunable, arch, data, peakMemoryBytes } = document;
  const right = { align: "right" } as const;
  const isLabelled = Number.isFinite(dense.accuracy);
  const [shown, format] = isLabelled ? (["accuracy", formatPercent] as const) : (["loss", formatNumber] as const);
  const all = [...runs, ...(failed ?? [])];
  const sparsities = [...new Set(all.map(({ sparsity }) => sparsity))];
  const solvers = [...new Set(all.map(({ solver }) => solver))];
  const find = (solver: string, sparsity: number) =>
    runs.find((run) => run.solver === solver && run.sparsity === sparsity);
  const accuracies = formatTable(
    [{ title: `${shown} at` }, ...sparsities.map((sparsity) => ({ title: formatFraction(sparsity), ...right }))],
    solvers.map((solver) => [
      solver,
      ...sparsities.map((sparsity) => {
        const run = find(solver, sparsity);
        return run ? format(run[shown]) : "failed";
      }),
    ]),
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
      formatNumber(run.objective),
      String(run.stages),
      run.examples === undefined ? "" : formatCount(run.examples),
      run.ridge === undefined ? "" : formatNumber(run.ridge),
      run.sharesGradients && run.stages === 1 ? "shared" : formatDuration(run.timing.gradientMs),
      formatDuration(run.timing.solveMs),
    ]),
  );
  const before = `${arch} on ${data}: ${isLabelled ? `${format(dense.accuracy)} of` : `loss ${format(dense.loss)} on`} ${formatCount(dense.examples)} test examples, ${formatCount(prunable)} prunable weights\n${keptDense ? `kept dense: ${keptDense.join(", ")}\n` : ""}`;
  const failures = (failed ?? []).map(
    ({ solver, sparsity, message }) => `failed: ${solver} at ${sparsity}: ${message}\n`,
  );
  return `${before}\n${accuracies}\n${details}\n${failures.join("")}peak memory ${formatBytes(peakMemoryBytes)}\n`;
}
