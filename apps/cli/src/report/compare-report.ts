import type { CompareDocument, ComparedRun } from "../compare/compare-document.ts";
import { formatBytes } from "../text/format.ts";
import { shellCommand } from "../text/shell-command.ts";
import { reportRun } from "./prune-report.ts";
import { makeReport } from "./report.ts";

/** The report of one `secateur compare`, as HTML. */
export async function compareReport(spec: {
  document: CompareDocument;
  runs: readonly ComparedRun[];
  argv: readonly string[];
}): Promise<string> {
  const { document, runs, argv } = spec;
  const { arch, data, seed, model, modelSha256, backend, peakMemoryBytes, versions } = document;
  const solvers = new Set(runs.map(({ solver }) => solver)).size;
  return await makeReport({
    title: `${arch} pruned by ${solvers} ${solvers === 1 ? "method" : "methods"}`,
    summary: `On ${data}, seed ${seed}; every run starts from the same checkpoint.`,
    runs: runs.map(({ solver, sparsity, dense, pruned, result }) =>
      reportRun({ outcome: { dense, pruned, result }, solver, sparsity }),
    ),
    command: shellCommand("secateur", argv),
    versions,
    facts: [
      ["model", model],
      ["model SHA-256", modelSha256],
      ...(document.keptDense ? [["kept dense", document.keptDense.join(", ")] as const] : []),
      ["seed", String(seed)],
      ["kernels", backend],
      ["peak memory", formatBytes(peakMemoryBytes)],
    ],
  });
}
