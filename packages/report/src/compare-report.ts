/** The report of a comparison of methods. */
import type { ReportContent } from "@secateur/core";
import { type ReportOutcome, reportRun } from "./prune-report.ts";
import { formatBytes } from "./text/format.ts";
import { shownArchitecture } from "./text/shown-architecture.ts";

/** The parts of the JSON document of `secateur compare` that its report reads. */
export interface CompareReportDocument {
  /** Statistics of batch normalisation were measured anew before the dense network was. */
  readonly remeasured?: true;
  readonly model: string;
  readonly modelSha256: string;
  readonly arch: string;
  readonly data: string;
  readonly keptDense?: readonly string[];
  readonly seed: number;
  readonly backend: string;
  readonly requestSha256: string;
  readonly peakMemoryBytes: number;
  readonly versions: Readonly<Record<string, string>>;
}

/**
 * The report of one `secateur compare`: what a reporter writes.
 *
 * @param spec.runs - in the order of the table
 * @param spec.command - as typed, to repeat the run
 */
export function compareContent(spec: {
  document: CompareReportDocument;
  runs: readonly (ReportOutcome & { readonly solver: string; readonly sparsity: number })[];
  command: string;
}): ReportContent {
  const { document, runs, command } = spec;
  const { arch, data, seed, model, modelSha256, backend, peakMemoryBytes, versions } = document;
  const solvers = new Set(runs.map(({ solver }) => solver)).size;
  return {
    title: `${shownArchitecture(arch)} pruned by ${solvers} ${solvers === 1 ? "method" : "methods"}`,
    summary: `On ${data}, seed ${seed}; every run starts from the same checkpoint.`,
    runs: runs.map(({ solver, sparsity, ...outcome }) =>
      reportRun({ outcome: { ...outcome, ...(document.remeasured ? { remeasured: true } : {}) }, solver, sparsity }),
    ),
    command,
    versions,
    facts: [
      ["model", model],
      ["model SHA-256", modelSha256],
      ...(document.keptDense ? [["kept dense", document.keptDense.join(", ")] as const] : []),
      ["seed", String(seed)],
      ["kernels", backend],
      ["request SHA-256", document.requestSha256],
      ["peak memory", formatBytes(peakMemoryBytes)],
    ],
  };
}
