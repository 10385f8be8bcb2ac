/** One call of `secateur sensitivity`. */
import { checkOutput, writeFileAtomic } from "@secateur/formats";
import { shellCommand } from "@secateur/report/text";
import { badUsage, mapDataPaths } from "@secateur/run";
import { runSensitivity } from "@secateur/run/node";
import { missingFlag } from "../errors.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { loadReport } from "../run/load-report.ts";
import { printResult } from "../run/print-result.ts";
import { type SessionFlags, withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";
import { proposalText, sensitivityText } from "./sensitivity-text.ts";

/** The flags of `secateur sensitivity` as commander hands them over. */
export interface SensitivityFlags extends SessionFlags {
  readonly arch?: string;
  readonly data?: string;
  readonly normalize?: string;
  readonly task?: string;
  readonly solver?: string;
  readonly sparsity?: number;
  readonly sparsities?: readonly number[];
  readonly tolerance?: number;
  readonly examples?: number;
  readonly heldOut?: number;
  readonly ridge?: number | "auto";
  readonly report?: string;
  readonly force?: boolean;
}

interface SensitivityCall {
  /** MODEL as typed. */
  readonly model: string;
  readonly flags: SensitivityFlags;
  readonly terminal: Terminal;
  /** As typed, for the report. */
  readonly argv: readonly string[];
}

/** Scans, proposes, prints, writes the report. @throws whatever is wrong with the input, ERR_ABORTED */
export async function callSensitivity(call: SensitivityCall): Promise<void> {
  const { flags, terminal, argv } = call;
  const { data } = flags;
  if (data === undefined) {
    throw missingFlag("--data", "say what to prune and measure with, for example --data mnist");
  }
  const overwrite = flags.force === true;
  const report = flags.report === undefined ? undefined : absolutePath(terminal, flags.report);
  if (report !== undefined) await checkOutput(report, { overwrite });
  if (report !== undefined && flags.events !== undefined && report === absolutePath(terminal, flags.events)) {
    throw badUsage(`${report}: two outputs would go there; give each its own name`, { report });
  }
  const document = await withSession({ flags, terminal, overwrite }, (session) =>
    runSensitivity({
      path: absolutePath(terminal, call.model),
      ...{ arch: flags.arch, normalize: flags.normalize, task: flags.task, solver: flags.solver },
      data: mapDataPaths(data, (file) => absolutePath(terminal, file)),
      ...{ sparsity: flags.sparsity, sparsities: flags.sparsities, tolerance: flags.tolerance },
      ...{ examples: flags.examples, heldOut: flags.heldOut, ridge: flags.ridge },
      ...{ cwd: terminal.cwd, session },
    }),
  );
  if (report !== undefined) {
    const { sensitivityReport, plottingLibrary } = await loadReport();
    await writeFileAtomic(
      report,
      sensitivityReport({
        plottingLibrary,
        document,
        verdict: proposalText(document),
        command: shellCommand("secateur", argv),
      }),
      { overwrite },
    );
  }
  const wrote = report === undefined ? "" : `\nwrote ${report}\n`;
  printResult({ terminal, flags, document, text: () => `${sensitivityText(document)}${wrote}` });
}
