/** The command line of `secateur sweep`: methods, sparsities, seeds and ridges, as one table. */
import type { Command } from "commander";
import { addMessageFlags, addRunFlags } from "../../flags/common-flags.ts";
import { listOfRidges, listOfSeeds } from "../../flags/lists.ts";
import { addMethodFlags } from "../../flags/method-flags.ts";
import { addWorkFlags } from "../../flags/work-flags.ts";
import { callSweep, type SweepFlags } from "../../sweep/call-sweep.ts";
import type { Terminal } from "../../terminal.ts";

const examples = `
Examples:
  secateur sweep net.safetensors --data mnist --solvers magnitude,chita --sparsities 0.9,0.95,0.98 --seeds 0,1,2
  secateur sweep net.safetensors --data mnist --solvers chita --sparsities 0.9,0.95 --ridges auto,1e-4 --goal 'accuracy>=97'
      and the smallest that is good enough, judged by training examples that no run saw
  secateur sweep net.safetensors --data mnist --solvers chita --sparsities 0.9,0.95 --shard 3/16 --out part-3.json
      the third of sixteen parts, for secateur merge
  secateur sweep net.safetensors --data mnist --solvers chita --sparsities 0.9 --queue redis://host:6379 --store /shared/store
      on all workers of a queue (secateur worker)`;

/** Adds the command. */
export function addSweepCommand(program: Command, spec: { terminal: Terminal; argv: readonly string[] }): void {
  const command = program
    .command("sweep")
    .description(
      "Prune a network by every method at every sparsity, with every ridge and seed, and say which stand on the front of accuracy against bytes and milliseconds. Finished runs are kept in the store and never repeated. Writes no network.",
    )
    .argument(
      "<model>",
      "checkpoint (safetensors, PyTorch or a plugin's format), ONNX model, or a TensorFlow.js model.json",
    );
  command.optionsGroup("What to sweep over:");
  addMethodFlags(command, {
    ...spec,
    purpose: "gradients come from its training split, of which a tenth is held out to choose by",
    addMore: (more) =>
      more
        .option("--seeds <n,m,...>", "a run by each (default: what --seed says)", listOfSeeds)
        .option("--ridges <l2,auto,...>", "a run with each, of solvers that take gradients", listOfRidges)
        .option(
          "--goal <limits>",
          "limits joined by commas, such as 'accuracy>=97' or 'bytes<=20000': the best configuration within them is named",
        ),
  });
  command
    .optionsGroup("Where results go:")
    .option(
      "--out <file>",
      "FILE.json: the result as data, the same bytes wherever the runs were made; with --shard the part",
    )
    .option("--report <file.html>", "a page with plots, self-contained")
    .option("--force", "replace an existing output");
  addWorkFlags(command, { hasShards: true });
  addRunFlags(command);
  addMessageFlags(command, { hasEvents: true });
  command.addHelpText("after", examples).action(async (model: string) => {
    await callSweep({ ...spec, model, flags: command.opts<SweepFlags>() });
  });
}
