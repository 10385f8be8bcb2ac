/** `secateur train`: train a built-in network, or go on training a checkpoint. */

import { trainDefaults } from "@secateur/run/node/retrain/training-settings";
import { type Command, Option } from "commander";
import { addArchFlags } from "../flags/arch-flags.ts";
import { addAugmentationFlags } from "../flags/batch-norm-flags.ts";
import { addDataFlags, addMessageFlags, addRunFlags, collect } from "../flags/common-flags.ts";
import { epochsParser, numberParser, wholeParser } from "../flags/number.ts";
import { addTrainingFlags } from "../flags/training-flags.ts";
import type { Terminal } from "../terminal.ts";
import { callTrain, type TrainFlags } from "../train/call-train.ts";

const examples = `
Examples:
  secateur train --arch mlpnet --data mnist --epochs 10 --out mlpnet.safetensors
  secateur train net.chita-0.95.safetensors --data mnist --keep-zeros --learning-rate 0.01 --out tuned.safetensors
  secateur train --arch mlpnet --data mnist --rule gmp --sparsity 0.95 --out sparse.safetensors
  secateur train --arch resnet20 --data cifar10:DIR --batch-size 128 --crop-padding 4 --flip --nesterov --out resnet20.safetensors
An interrupted run goes on with the same command and --resume.`;

/** Adds the command. */
export function addTrainCommand(program: Command, spec: { terminal: Terminal; argv: readonly string[] }): void {
  const { terminal, argv } = spec;
  const command = program
    .command("train")
    .description("Train by gradient descent on the training split; measure on the test split.")
    .argument("[model]", "checkpoint to go on from (default: random weights for --arch)");
  command.optionsGroup("What to train:");
  addDataFlags(command, "trained on its training split, measured on its test split");
  addArchFlags(command, terminal);
  command
    .option("--keep-zeros", "weights that are zero in MODEL stay zero (default: where a tenth of its weights are)")
    .option("--no-keep-zeros", "train them too");
  command
    .optionsGroup("How:")
    .addOption(
      new Option("--epochs <n>", `passes over the training split (default: ${trainDefaults.epochs})`).argParser(
        epochsParser("--epochs", 0),
      ),
    )
    .addOption(
      new Option(
        "--batch-size <n>",
        `examples a step; larger is faster and steps less often (default: ${trainDefaults.batchSize})`,
      ).argParser(wholeParser("--batch-size", 1)),
    )
    .addOption(
      new Option(
        "--learning-rate <x>",
        `peak of the rate, which --schedule shapes (default: ${trainDefaults.learningRate}; 0.001 for adam and adamw)`,
      ).argParser(
        numberParser({
          flag: "--learning-rate",
          allowed: "a number above 0",
          accepts: (value) => value > 0 && Number.isFinite(value),
        }),
      ),
    )
    .addOption(
      new Option(
        "--momentum <x>",
        `how much of the last step goes into the next (default: ${trainDefaults.momentum})`,
      ).argParser(
        numberParser({
          flag: "--momentum",
          allowed: "a number from 0 to below 1",
          accepts: (value) => value >= 0 && value < 1,
        }),
      ),
    )
    .addOption(
      new Option(
        "--weight-decay <x>",
        `pull of the weights towards 0 (default: ${trainDefaults.weightDecay})`,
      ).argParser(
        numberParser({
          flag: "--weight-decay",
          allowed: "a number of at least 0",
          accepts: (value) => value >= 0 && Number.isFinite(value),
        }),
      ),
    );
  addTrainingFlags(command);
  addAugmentationFlags(command, "training images");
  command
    .optionsGroup("Pruning while it trains:")
    .addOption(
      new Option(
        "--rule <name>",
        "a rule that acts while the network trains, such as gmp, rigl, granet or ac-dc ('secateur plugins' lists them); may be repeated",
      ).argParser(collect),
    )
    .addOption(
      new Option(
        "--sparsity <x>",
        "fraction of the weights, or of the rows or channels, that the rule removes (default: the rule's)",
      ).argParser(
        numberParser({
          flag: "--sparsity",
          allowed: "a number from 0 to below 1",
          accepts: (value) => value >= 0 && value < 1,
        }),
      ),
    )
    .addOption(
      new Option(
        "--rule-option <key=value>",
        "another option of the rule ('secateur explain NAME --kind training-rule' lists them); may be repeated",
      ).argParser(collect),
    );
  command
    .optionsGroup("Where results go:")
    .option("--out <file>", "the trained network (.safetensors, or a plugin's ending); always needed")
    .addOption(
      new Option(
        "--keep-epochs <a,b,...>",
        "write the weights after these epochs as well, to OUT.epoch-N.safetensors; 0: at the start. prune --rewind takes them",
      ).argParser((text) => text.split(",").map(wholeParser("--keep-epochs", 0))),
    )
    .option("--report <file>", "an HTML page with the curves of the training, self-contained")
    .option("--force", "replace an existing output")
    .option("--resume", "continue an interrupted run from its last finished epoch");
  addRunFlags(command);
  addMessageFlags(command, { hasEvents: true });
  command.addHelpText("after", examples).action(async (model: string | undefined) => {
    await callTrain({ model, flags: command.opts<TrainFlags>(), terminal, argv });
  });
}
