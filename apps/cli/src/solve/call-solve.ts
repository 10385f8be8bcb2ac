/** One call of `secateur solve`. */
import { keptCount } from "@secateur/core";
import { checkOutput } from "@secateur/formats";
import { formatCount, formatDuration, formatNumber, formatStats } from "@secateur/report/text";
import { badUsage, type FoundEntry, notePlugin, resolveOptions, type SolverEntry } from "@secateur/run";
import { runSolve, type SolveDocument } from "@secateur/run/node";
import { missingFlag } from "../errors.ts";
import { solverSettings } from "../flags/solver-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { assertEnding, assertNotInput } from "../run/check-places.ts";
import { printResult } from "../run/print-result.ts";
import { type SessionFlags, withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";

/** The flags of `secateur solve` as commander hands them over; options of the solver come on top. */
export interface SolveFlags extends SessionFlags {
  readonly gradients?: string;
  readonly weights?: string;
  readonly sparsity?: number;
  readonly keep?: number;
  readonly ridge?: number;
  readonly firstOrder?: boolean;
  readonly option?: readonly string[];
  readonly out?: string;
  readonly force?: boolean;
}

interface SolveCall {
  readonly flags: SolveFlags;
  readonly found: FoundEntry<SolverEntry>;
  /** Long names of the command's own flags, without those of the solver. */
  readonly ownFlags: ReadonlySet<string>;
  readonly terminal: Terminal;
}

/** Solves, writes the weights where asked to, prints the result. @throws whatever is wrong with the input, ERR_ABORTED */
export async function callSolve(call: SolveCall): Promise<void> {
  const { flags, terminal, found, ownFlags } = call;
  const pairs = flags.option ?? [];
  const { options } = solverSettings({ entry: found.entry, flags: { ...flags }, pairs, hasPlan: false, ownFlags });
  const solver = found.entry.create((await resolveOptions(found.entry, options)) as never);
  assertBudget(flags);
  const overwrite = flags.force === true;
  const out = flags.out === undefined ? undefined : absolutePath(terminal, flags.out);
  const inputs = { gradients: path(call, "gradients"), weights: path(call, "weights") };
  assertEnding({ flag: "--out", path: out }, [".npy"]);
  assertNotInput({
    outputs: [
      { flag: "--out", path: out },
      { flag: "--events", path: flags.events === undefined ? undefined : absolutePath(terminal, flags.events) },
    ],
    inputs: Object.values(inputs),
  });
  if (out !== undefined) await checkOutput(out, { overwrite });
  const document = await withSession({ flags, terminal, overwrite }, async (session) => {
    notePlugin(found, session);
    return await runSolve({ ...inputs, solver, name: found.entry.name, settings: flags, out, overwrite, session });
  });
  printResult({ terminal, flags, document, text: () => solveText(document) });
}

function path({ flags, terminal }: SolveCall, flag: "gradients" | "weights"): string {
  const given = flags[flag];
  if (given === undefined)
    throw missingFlag(`--${flag}`, "give an .npy file; both --gradients and --weights are needed");
  return absolutePath(terminal, given);
}

function assertBudget({ sparsity, keep }: SolveFlags): void {
  if (sparsity === undefined && keep === undefined) {
    throw missingFlag("--sparsity", "say how far to prune: --sparsity S (fraction removed) or --keep K (weights kept)");
  }
  if (sparsity !== undefined && keep !== undefined) {
    throw badUsage("--sparsity and --keep say the same thing twice; give one of them");
  }
  if (sparsity !== undefined) keptCount(1, sparsity); // refuses a sparsity outside [0, 1)
}

function solveText(document: SolveDocument): string {
  const { solver, objective: value, nonzeros, size, status, stats, solveMs, out } = document;
  return [
    `${solver}: objective ${formatNumber(value)} with ${formatCount(nonzeros)} of ${formatCount(size)} weights\n`,
    `${status} in ${formatDuration(solveMs)}; ${formatStats(stats)}\n`,
    ...(out === undefined ? [] : [`wrote ${out}\n`]),
  ].join("");
}
