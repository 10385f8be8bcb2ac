/** The command line of `secateur sensitivity`: which layers stand pruning least. */

import { keptCount } from "@secateur/core";
import { sensitivityDefaults } from "@secateur/run/node/sensitivity/run-sensitivity";
import { type Command, Option } from "commander";
import { addArchFlags } from "../flags/arch-flags.ts";
import { addReestimateFlag } from "../flags/batch-norm-flags.ts";
import { addDataFlags, addMessageFlags, addRunFlags, addSparsityFlag } from "../flags/common-flags.ts";
import { listOfSparsities } from "../flags/lists.ts";
import { numberParser, wholeParser } from "../flags/number.ts";
import { addWorkFlags } from "../flags/work-flags.ts";
import { callSensitivity, type SensitivityFlags } from "../sensitivity/call-sensitivity.ts";
import type { Terminal } from "../terminal.ts";

const examples = `
Examples:
  secateur sensitivity mlpnet.safetensors --data mnist
      prunes each layer alone to 50, 80, 90 and 95 %, and says which ones to keep dense at 90 %
  secateur sensitivity resnet20.safetensors --data cifar10:DIR --solver magnitude --sparsity 0.8 --report layers.html
      the same by magnitude, judged at 80 %, with a page
  secateur sensitivity net.onnx --data npy:X.npy
      without targets: how far the network's own outputs move`;

/** Adds the command. */
export function addSensitivityCommand(program: Command, spec: { terminal: Terminal; argv: readonly string[] }): void {
  const defaults = sensitivityDefaults;
  const command = program
    .command("sensitivity")
    .description(
      "Take one set of gradients, prune every layer alone at several sparsities, and measure on training examples that gave none. " +
        "Layers that lose too much are tried as dense, with as many weights in all; they are proposed if that is better. Writes no network.",
    )
    .argument(
      "<model>",
      "checkpoint (safetensors, PyTorch or a plugin's format), ONNX model, or TensorFlow.js model.json",
    );
  command.optionsGroup("What to scan:");
  addDataFlags(command, "its training split is used, one part for gradients and another to measure");
  addArchFlags(command, spec.terminal);
  command.option("--solver <name>", `method from secateur plugins, or SELECTOR+UPDATER (default: ${defaults.solver})`);
  addSparsityFlag(command, `layers are judged here; default: ${defaults.sparsity}`);
  command
    .option(
      "--sparsities <s,t,...>",
      `fractions to remove from each layer (default: ${defaults.sparsities.join(",")})`,
      listOfSparsities,
    )
    .addOption(
      new Option(
        "--tolerance <n>",
        `what a layer may cost alone: points of what is measured in percent, else in its unit (default: ${defaults.tolerance}, or a hundredth of the value before)`,
      ).argParser(
        numberParser({
          flag: "--tolerance",
          allowed: "a number of at least 0",
          accepts: (value) => value >= 0 && Number.isFinite(value),
        }),
      ),
    )
    .addOption(
      new Option(
        "--examples <n>",
        `gradient rows, taken once (default: ${defaults.examples}, at most half of the training split)`,
      ).argParser(wholeParser("--examples", 1)),
    )
    .addOption(
      new Option(
        "--held-out <n>",
        `training examples to measure on; more are less noisy (default: ${defaults.heldOut}, or what is left)`,
      ).argParser(wholeParser("--held-out", 1)),
    )
    .addOption(
      new Option("--ridge <l2|auto>", "damping added to the curvature (default: auto, measured on the rows)").argParser(
        ridge,
      ),
    );
  addReestimateFlag(command);
  command
    .optionsGroup("Where results go:")
    .option("--report <file>", "an HTML page with plots, self-contained")
    .option("--force", "replace an existing report or event log");
  addWorkFlags(command, { hasShards: false });
  addRunFlags(command);
  addMessageFlags(command, { hasEvents: true });
  command.addHelpText("after", examples).action(async (model: string) => {
    const flags = command.opts<SensitivityFlags>();
    if (flags.sparsity !== undefined) keptCount(1, flags.sparsity); // refuses a sparsity outside [0, 1)
    await callSensitivity({ ...spec, model, flags });
  });
}

function ridge(text: string): number | "auto" {
  if (text === "auto") return text;
  const accepts = (value: number) => value >= 0 && Number.isFinite(value);
  return numberParser({ flag: "--ridge", allowed: "'auto' or a number of at least 0", accepts })(text);
}
