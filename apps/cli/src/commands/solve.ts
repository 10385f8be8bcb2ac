/** `secateur solve`: one pruning problem from gradient rows and weights in .npy files, for users of any framework. */

import type { FoundEntry, SolverEntry } from "@secateur/run";
import { type Command, Option } from "commander";
import { addMessageFlags, addRunFlags, addSparsityFlag, collect } from "../flags/common-flags.ts";
import { numberParser, wholeParser } from "../flags/number.ts";
import { addSolverFlags } from "../flags/solver-flags.ts";
import { addUnitsFlag } from "../flags/units-flag.ts";
import { addWorkFlags } from "../flags/work-flags.ts";
import { callSolve, type SolveFlags } from "../solve/call-solve.ts";
import type { Terminal } from "../terminal.ts";

const help = `
It minimises  Q(w) = 1/2 d'(G'G/n)d + (l2/2) d'd + g'd,  d = w - w0,  over weights w with at most k non-zeros.
G [n, p] holds one gradient row per example or mini-batch, w0 [p] the trained weights; g is the mean row with
--first-order, else 0. With --gram the rows of W share H:  1/2 tr((R - W) H (R - W)')  over R with at most k non-zeros,
or with --units of-every:KEEP/OF.

Examples:
  secateur solve --gradients G.npy --weights w.npy --sparsity 0.9 --out pruned.npy
  secateur solve --gradients G.npy --weights w.npy --solver chita --keep 99 --ridge 1e-4 --json
  secateur solve --gradients rows/ --weights w.npy --sparsity 0.9 --column-shards 4 --workers 2 --out pruned.npy
      rows beyond memory: only vectors of n numbers meet
  secateur solve --gram H.npy --weights W.npy --solver layerwise --units of-every:2/4 --out pruned.npy`;

/** Adds the command. */
export function addSolveCommand(
  program: Command,
  spec: { readonly terminal: Terminal; readonly found: FoundEntry<SolverEntry> },
): void {
  const command = program
    .command("solve")
    .description("Choose and re-fit weights for gradient rows and weights from .npy files (f32 or f64).");
  command.optionsGroup("The problem:");
  command
    .option(
      "--gradients <file>",
      "gradient rows G [n, p], .npy (this or --gram); a folder of files by columns with --column-shards",
    )
    .option("--gram <file>", "of one layer: H = X'X [in, in] of its inputs, at any scale, .npy")
    .option("--weights <file>", "trained weights, .npy: p numbers in any shape; with --gram [out, in]");
  addSparsityFlag(command, "this or --keep");
  addUnitsFlag(command);
  command
    .addOption(
      new Option("--keep <k>", "how many weights to keep (this or --sparsity)").argParser(wholeParser("--keep", 0)),
    )
    .addOption(
      new Option("--ridge <l2>", "damping: larger stays nearer to w0 (default: 1e-4, with --gram 0)").argParser(
        numberParser({
          flag: "--ridge",
          allowed: "a number of at least 0",
          accepts: (value) => value >= 0 && Number.isFinite(value),
        }),
      ),
    )
    .option("--first-order", "take g = the mean gradient row instead of 0")
    .optionsGroup("How:")
    .option("--solver <name>", "which method; secateur plugins lists them (default: chita, with --gram layerwise)")
    .option("--selector <name>", "instead of --solver: the method that chooses which weights are kept")
    .option("--updater <name>", "with --selector: the method that finds the kept weights (default: none)")
    .option("--option <key=value>", "an option of the solver, may be repeated", collect);
  addWorkFlags(command, { hasShards: false });
  command
    .optionsGroup("Rows beyond memory:")
    .addOption(
      new Option("--column-shards <n>", "solve by columns in n shards, with up to n workers (chita alone)").argParser(
        wholeParser("--column-shards", 1, 4096),
      ),
    )
    .addOption(
      new Option(
        "--memory <gib>",
        "rows of a shard that stay in memory, the others are read at every pass (default: all, within a share of the free memory, at most 3)",
      ).argParser(
        numberParser({ flag: "--memory", allowed: "a number of GiB above 0", accepts: (value) => value > 0 }),
      ),
    )
    .option(
      "--listen <host:port>",
      "with --queue: where workers reach this machine (default: its host name, and any free port)",
    );
  command
    .optionsGroup("Where results go:")
    .option("--out <file>", "the new weights, .npy in the shape and dtype of --weights (default: they are not written)")
    .option("--force", "replace an existing output");
  addRunFlags(command);
  addMessageFlags(command, { hasEvents: true });
  const ownFlags = new Set(command.options.map((option) => option.long ?? ""));
  addSolverFlags(command, spec.found.entry);
  command.addHelpText("after", help).action(async () => {
    await callSolve({ ...spec, flags: command.opts<SolveFlags>(), ownFlags });
  });
}
