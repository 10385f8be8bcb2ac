/** The command line of `secateur compare`: several methods on one network, side by side. */

import type { Command } from "commander";
import { type CompareFlags, callCompare } from "../../compare/call-compare.ts";
import { addMessageFlags, addRunFlags } from "../../flags/common-flags.ts";
import { addMethodFlags } from "../../flags/method-flags.ts";
import { addWorkFlags } from "../../flags/work-flags.ts";
import type { Terminal } from "../../terminal.ts";

const examples = `
Examples:
  secateur compare mlpnet.safetensors --data mnist --solvers magnitude,woodfisher,cbs,chita --sparsities 0.5,0.9,0.98
      every method as its own plan runs it, as a table
  secateur compare net.safetensors --data mnist --solvers obd+cbs,woodfisher+cbs,cbs+cbs --sparsities 0.9 --examples 1000
      three selectors under one updater, on equally many gradient rows
  secateur compare net.safetensors --data mnist --solvers magnitude,chita --sparsities 0.9,0.95 --report compare.html
      the same with plots
  secateur compare net.safetensors --data mnist --solvers magnitude,chita --sparsities 0.9 --option chita:stages=3
      with a setting of one of them`;

/** Adds the command. */
export function addCompareCommand(program: Command, spec: { terminal: Terminal; argv: readonly string[] }): void {
  const command = program
    .command("compare")
    .description("Prune a network by every method at every sparsity, and print what each costs. Writes no network.")
    .argument(
      "<model>",
      "checkpoint (safetensors, PyTorch or a plugin's format), ONNX model, or TensorFlow.js model.json",
    );
  command.optionsGroup("What to compare:");
  addMethodFlags(command, { ...spec, purpose: "gradients come from its training split, accuracy from its test split" });
  command
    .optionsGroup("Where results go:")
    .option("--report <file>", "FILE.html: a page with plots, self-contained; FILE.json: its content as data")
    .option("--force", "replace an existing report or event log")
    .option("--resume", "take over the runs that an interrupted comparison finished");
  addWorkFlags(command, { hasShards: false });
  addRunFlags(command);
  addMessageFlags(command, { hasEvents: true });
  command.addHelpText("after", examples).action(async (model: string) => {
    await callCompare({ ...spec, model, flags: command.opts<CompareFlags>() });
  });
}
