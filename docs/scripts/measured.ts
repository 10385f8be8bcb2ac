/** Measurements that the pages show: the outcome of one `secateur compare --json`, kept in docs/measured. */
import { readFileSync } from "node:fs";

/** What of the document is kept. */
export interface Measured {
  /** Network and data in words. */
  readonly what: string;
  /** The command that measures it, from the repository's root. */
  readonly command: string;
  /** Accuracy before pruning, percent of the test images. */
  readonly dense: number;
  readonly runs: readonly { readonly solver: string; readonly sparsity: number; readonly accuracy: number }[];
}

/** Reads a kept measurement. */
export function readMeasured(file: string): Measured {
  return JSON.parse(readFileSync(file, "utf8")) as Measured;
}

/** Solvers against sparsities, as a table. */
export function measuredOverview({ what, command, dense, runs }: Measured): string {
  const solvers = [...new Set(runs.map(({ solver }) => solver))];
  const sparsities = [...new Set(runs.map(({ sparsity }) => sparsity))];
  const rows = solvers.map((solver) => {
    const values = sparsities.map(
      (sparsity) => runs.find((run) => run.solver === solver && run.sparsity === sparsity)?.accuracy.toFixed(2) ?? "",
    );
    return `| \`${solver}\` | ${values.join(" | ")} |`;
  });
  return `${what}: percent of the test images (${dense.toFixed(2)} before pruning). Every method as its own plan runs it, so they spend
different numbers of gradients; one seed, so differences below half a point say little.

| | ${sparsities.map((sparsity) => `${100 * sparsity} %`).join(" | ")} |
|---|${"---|".repeat(sparsities.length)}
${rows.join("\n")}

\`\`\`sh
${command}
\`\`\``;
}
