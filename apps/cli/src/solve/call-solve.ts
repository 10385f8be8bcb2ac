/** One call of `secateur solve`. */
import { keptCount } from "@secateur/core";
import { checkOutput } from "@secateur/formats";
import { formatBytes, formatCount, formatDuration, formatNumber, formatStats, plainText } from "@secateur/report/text";
import {
  badUsage,
  type FoundEntry,
  flagWithoutEffect,
  notePlugin,
  resolveOptions,
  type SolverEntry,
} from "@secateur/run";
import { assertEnding, assertNotInput } from "@secateur/run/node/check-places";
import type { ColumnSettings } from "@secateur/run/node/columns/column-places";
import { solveByColumns } from "@secateur/run/node/columns/solve-by-columns";
import { refuseContradictions } from "@secateur/run/node/jobs/work-place";
import { runSolve, type SolveDocument, type SolveSpec } from "@secateur/run/node/solve/run-solve";
import { badFlagValue, missingFlag } from "../errors.ts";
import { solverSettings } from "../flags/solver-flags.ts";
import type { UnitsFlag } from "../flags/units-flag.ts";
import { type JobFlags, workFlags } from "../flags/work-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { printResult } from "../run/print-result.ts";
import { type SessionFlags, withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";

/** The flags of `secateur solve` as commander hands them over; options of the solver come on top. */
export interface SolveFlags extends SessionFlags, JobFlags {
  readonly gradients?: string;
  readonly gram?: string;
  readonly weights?: string;
  readonly units?: UnitsFlag;
  readonly sparsity?: number;
  readonly keep?: number;
  readonly ridge?: number;
  readonly firstOrder?: boolean;
  readonly option?: readonly string[];
  readonly columnShards?: number;
  readonly listen?: string;
  readonly memory?: number;
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
  const resolved = await resolveOptions(found.entry, options);
  const solver = found.entry.create(resolved as never);
  const source = sourceOf(call);
  const columns = columnsOf(call);
  assertBudget(flags);
  const overwrite = flags.force === true;
  const out = flags.out === undefined ? undefined : absolutePath(terminal, flags.out);
  const weights = absolutePath(terminal, required(flags.weights, "weights"));
  assertEnding({ flag: "--out", path: out }, [".npy"]);
  assertNotInput({
    outputs: [
      { flag: "--out", path: out },
      { flag: "--events", path: flags.events === undefined ? undefined : absolutePath(terminal, flags.events) },
    ],
    inputs: [...Object.values(source), weights],
  });
  if (out !== undefined) await checkOutput(out, { overwrite });
  const document = await withSession({ flags, terminal, overwrite }, async (session) => {
    notePlugin(found, session);
    const settings = {
      ...flags,
      ...(flags.units === undefined || flags.units === "weights" ? {} : { pattern: flags.units }),
    };
    if (columns && "gradients" in source) {
      return await solveByColumns({
        ...source,
        weights,
        settings,
        options: resolved,
        columns,
        out,
        overwrite,
        session,
      });
    }
    return await runSolve({ source, weights, solver, name: found.entry.name, settings, out, overwrite, session });
  });
  printResult({ terminal, flags, document, text: () => solveText(document) });
}

/** What the problem is made of. */
function sourceOf({ flags, terminal }: SolveCall): SolveSpec["source"] {
  const { gradients, gram, units, firstOrder } = flags;
  if (gram === undefined) {
    if (units !== undefined) throw flagWithoutEffect({ flag: "--units", reason: "patterns are of layers, see --gram" });
    return { gradients: absolutePath(terminal, required(gradients, "gradients")) };
  }
  if (gradients !== undefined) throw badUsage("--gradients and --gram pose different problems; give one of them");
  if (firstOrder) throw flagWithoutEffect({ flag: "--first-order", reason: "--gram holds no gradients" });
  return { gram: absolutePath(terminal, gram) };
}

/** How columns are spread, where the rows are solved by columns. */
function columnsOf({ flags, terminal, found }: SolveCall): ColumnSettings | undefined {
  const { columnShards: shards, listen, memory, gram } = flags;
  if (shards === undefined) {
    const idle = (["workers", "queue", "store", "listen", "memory"] as const).find((name) => flags[name] !== undefined);
    if (idle)
      throw flagWithoutEffect({ flag: `--${idle}`, reason: "only columns in shards are spread, see --column-shards" });
    return undefined;
  }
  if (gram !== undefined) throw flagWithoutEffect({ flag: "--column-shards", reason: "--gram holds no gradient rows" });
  if (found.entry.name !== "chita") {
    throw badUsage(`--column-shards is of chita alone, and the solver is ${found.entry.name}; leave one of them out`);
  }
  const work = workFlags(flags, terminal, true);
  refuseContradictions(work);
  if (flags.store !== undefined && work.queue === undefined && (work.workers ?? 1) === 1)
    throw flagWithoutEffect({ flag: "--store", reason: "one process needs none, see --workers and --queue" });
  if (listen !== undefined && work.queue === undefined)
    throw flagWithoutEffect({ flag: "--listen", reason: "workers of other machines come by a queue, see --queue" });
  const memoryBytes = memory === undefined ? undefined : memory * 2 ** 30;
  return { shards, work, listen: listen === undefined ? undefined : listenAt(listen), memoryBytes, cwd: terminal.cwd };
}

/** HOST or HOST:PORT; an address of version 6 stands in brackets where a port follows. */
function listenAt(text: string): { host: string; port?: number } {
  const isBare = text.split(":").length > 2 && !text.startsWith("[");
  const [, bracketed, plain, port] = isBare
    ? [text, text]
    : (/^(?:\[(.+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []);
  const host = bracketed ?? plain;
  if (host === undefined || Number(port ?? 0) > 65_535) {
    throw badFlagValue({ flag: "--listen", found: text, allowed: "HOST or HOST:PORT" });
  }
  return { host, ...(port === undefined ? {} : { port: Number(port) }) };
}

function required(given: string | undefined, flag: string): string {
  if (given !== undefined) return given;
  throw missingFlag(`--${flag}`, "give .npy files: --weights, and --gradients or --gram");
}

function assertBudget({ sparsity, keep, units }: SolveFlags): void {
  if (units !== undefined && units !== "weights") {
    if (sparsity === undefined && keep === undefined) return;
    throw badUsage("--units of-every says how many weights are kept; leave --sparsity and --keep out");
  }
  if (sparsity === undefined && keep === undefined) {
    throw missingFlag("--sparsity", "say how far to prune: --sparsity S (fraction removed) or --keep K (weights kept)");
  }
  if (sparsity !== undefined && keep !== undefined) {
    throw badUsage("--sparsity and --keep say the same thing twice; give one of them");
  }
  if (sparsity !== undefined) keptCount(1, sparsity); // refuses a sparsity outside [0, 1)
}

function solveText(document: SolveDocument): string {
  const { solver, objective: value, nonzeros, size, status, stats, solveMs, out, relativeError, places } = document;
  return [
    `${solver}: objective ${formatNumber(value)} with ${formatCount(nonzeros)} of ${formatCount(size)} weights\n`,
    ...(relativeError === undefined ? [] : [`relative error ${formatNumber(relativeError)}\n`]),
    `${status} in ${formatDuration(solveMs)}; ${formatStats(stats)}\n`,
    ...(places ?? []).map(
      ({ where, shards, peakBytes }) =>
        `${plainText(where)}: columns in ${shards} ${shards === 1 ? "shard" : "shards"}, at most ${formatBytes(peakBytes)} of memory\n`,
    ),
    ...(out === undefined ? [] : [`wrote ${out}\n`]),
  ].join("");
}
