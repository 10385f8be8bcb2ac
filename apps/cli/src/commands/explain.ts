/** `secateur explain`: a method's formula, source and options, and how it would be run. */
import { type EntryKind, entryKinds, keptCount, type RunSituation } from "@secateur/core";
import { flagWithoutEffect, kebab, mapDataPaths } from "@secateur/run";
import { explainEntry } from "@secateur/run/node/explain/explain-entry";
import { explainSchedule, type ShownSchedule } from "@secateur/run/node/explain/explain-schedule";
import { planSituation } from "@secateur/run/node/explain/plan-situation";
import { findAnyEntry } from "@secateur/run/node/plugins/find-entry";
import { type Command, Option } from "commander";
import { addSparsityFlag } from "../flags/common-flags.ts";
import { wholeParser } from "../flags/number.ts";
import { addScheduleFlags } from "../retrain/retrain-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import type { Terminal } from "../terminal.ts";

interface ExplainFlags extends ShownSchedule {
  readonly kind?: EntryKind;
  readonly sparsity?: number;
  readonly model?: string;
  readonly arch?: string;
  readonly data?: string;
  readonly weights?: number;
  readonly trainExamples?: number;
}

/** The size of the situation a plan is shown for: MLPNet on MNIST. */
const usual = { sparsity: 0.9, weights: 32360, trainExamples: 60000 };

const examples = `
Examples:
  secateur explain chita
  secateur explain chita --sparsity 0.98 --weights 266200 --train-examples 60000
  secateur explain chita --model lenet5.safetensors --data mnist
      the plan for that network, whose layers decide what a plan costs
  secateur explain gmp --kind training-rule
      the rule of train --rule, where a schedule has the same name
  secateur explain llr --sparsity 0.98 --phases 3 --retrain-epochs 10
      a schedule of retraining: sparsities, epochs and rates of its phases`;

/** Adds the command. */
export function addExplainCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("explain")
    .description("Show a method's formula, its paper, its options, and the plan it would follow.")
    .argument("<name>", "anything that secateur plugins lists: a solver, a curvature, a schedule of --retrain, ...");
  command.addOption(
    new Option("--kind <kind>", "which of several things of one name (default: the first in this order)").choices(
      entryKinds,
    ),
  );
  command.optionsGroup("The situation to show the plan for:");
  addSparsityFlag(command, `default: ${usual.sparsity}`);
  command
    .addOption(new Option("--model <file>", "the network itself: its layers decide what a plan costs"))
    .addOption(new Option("--arch <name>", "with --model: the network its tensors belong to"))
    .addOption(new Option("--data <data>", "with --model: the data; their training split counts"))
    .addOption(
      new Option("--weights <n>", `prunable weights (default: ${usual.weights}, MLPNet)`).argParser(
        wholeParser("--weights", 1),
      ),
    )
    .addOption(
      new Option("--train-examples <n>", `training examples (default: ${usual.trainExamples}, MNIST)`).argParser(
        wholeParser("--train-examples", 1),
      ),
    );
  addScheduleFlags(command);
  command.addHelpText("after", examples).action(async (name: string) => {
    const flags = command.opts<ExplainFlags>();
    const found = await findAnyEntry(name, terminal.cwd, flags.kind);
    keptCount(1, flags.sparsity ?? usual.sparsity); // refuses a sparsity outside [0, 1)
    const given = flags.model === undefined ? undefined : await situationOf(flags.model, flags, terminal);
    const situation = given?.situation ?? sizesOf(flags);
    if (found.entry.kind === "schedule") {
      const schedule = { ...found, entry: found.entry };
      const spec = { found: schedule, situation, training: given?.training, shown: flags, from: terminal.cwd };
      terminal.stdout.write(await explainSchedule(spec));
      return;
    }
    const stray = (["retrainEpochs", "phases", "denseTraining"] as const).find((key) => flags[key] !== undefined);
    if (stray !== undefined) {
      throw flagWithoutEffect({ flag: `--${kebab(stray)}`, reason: `${name} is no schedule of retraining` });
    }
    terminal.stdout.write(await explainEntry(found, situation));
  });
}

/** A situation of sizes alone. @throws ERR_USAGE for flags that need a model */
function sizesOf(flags: ExplainFlags): RunSituation {
  const stray = (["arch", "data"] as const).find((key) => flags[key] !== undefined);
  if (stray !== undefined) throw flagWithoutEffect({ flag: `--${stray}`, reason: "it belongs to --model" });
  return {
    sparsity: flags.sparsity ?? usual.sparsity,
    prunable: flags.weights ?? usual.weights,
    examples: flags.trainExamples ?? usual.trainExamples,
    initialSparsity: 0,
  };
}

/** The situation of a model, as a run of prune would see it. @throws ERR_USAGE for --weights, what opening throws */
async function situationOf(path: string, flags: ExplainFlags, terminal: Terminal): ReturnType<typeof planSituation> {
  if (flags.weights !== undefined) throw flagWithoutEffect({ flag: "--weights", reason: "the model has its own" });
  if (flags.data !== undefined && flags.trainExamples !== undefined) {
    throw flagWithoutEffect({ flag: "--train-examples", reason: "the data say how many there are" });
  }
  const absolute = (file: string): string => absolutePath(terminal, file);
  const { arch, sparsity = usual.sparsity, trainExamples: examples = usual.trainExamples } = flags;
  const data = flags.data === undefined ? undefined : mapDataPaths(flags.data, absolute);
  return await planSituation({ path: absolute(path), arch, data, sparsity, examples, cwd: terminal.cwd });
}
