/** The flags of retraining and allocation, and what they stand for: the keys of a recipe's "retrain" and "allocation". */
import { scheduleNames } from "@secateur/core";
import { amplitudes } from "@secateur/imp-scheduler";
import { type AugmentationFlags, flagWithoutEffect } from "@secateur/run";
import {
  type AllocationSettings,
  type DenseSettings,
  optimizerNames,
  type RetrainSettings,
  rateNames,
} from "@secateur/run/node";
import { type Command, Option } from "commander";
import { badFlagValue } from "../errors.ts";
import { collect } from "../flags/common-flags.ts";
import { epochsParser, numberParser, wholeParser } from "../flags/number.ts";

/** As commander hands them over. */
export interface RetrainFlags extends AugmentationFlags {
  readonly retrain?: RetrainSettings["schedule"];
  readonly retrainEpochs?: number;
  readonly phases?: number | "auto";
  readonly phaseSchedule?: string;
  readonly interval?: number;
  readonly budget?: number;
  readonly amplitude?: string;
  readonly learningRate?: number;
  readonly denseTraining?: DenseSettings;
  readonly optimizer?: (typeof optimizerNames)[number];
  readonly batchSize?: number;
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly weightDecay?: number;
  readonly labelSmoothing?: number;
  readonly rewind?: string;
  readonly patience?: number;
  readonly holdOut?: number;
  readonly allocation?: string;
  readonly exclude?: readonly string[];
  readonly layerLimit?: readonly (readonly [string, number])[];
}

/** Flags that are settings of the retraining, with the recipe's key for each. */
const keys = {
  retrainEpochs: "epochs",
  denseTraining: "dense",
  ...Object.fromEntries(
    [
      ...["phases", "phaseSchedule", "interval", "budget", "amplitude", "learningRate", "optimizer", "batchSize"],
      ...["momentum", "nesterov", "weightDecay", "labelSmoothing", "rewind", "patience", "holdOut"],
    ].map((key) => [key, key]),
  ),
} as Readonly<Record<string, keyof RetrainSettings>>;

const positive = (flag: string) =>
  numberParser({ flag, allowed: "a number above 0", accepts: (value) => value > 0 && Number.isFinite(value) });
const below1 = (flag: string) =>
  numberParser({ flag, allowed: "a number from 0 to below 1", accepts: (value) => value >= 0 && value < 1 });

/** Adds the flags to a command. */
export function addRetrainFlags(command: Command): void {
  const option = (flags: string, help: string, parse: (text: string) => unknown) =>
    command.addOption(new Option(flags, help).argParser(parse));
  command.optionsGroup("Retraining, in rounds with the pruning (recipe: retrain):");
  command.addOption(
    new Option(
      "--retrain <name>",
      "train the kept weights after pruning. The learning rate: ft constant and small; lrw as the dense training ended; slr as all of it, in fewer steps; clr a cosine; llr linear to 0 (the safe choice); allr like llr, lower the less was pruned. Or a whole program: gmp cubic sparsity during one training; gradual prunings between restarted cosines; bimp dense training and cycles within one budget. Or the schedule of a plugin; secateur plugins lists them",
    ),
  );
  addEpochFlags(command);
  command.addOption(
    new Option("--phase-schedule <name>", "how the sparsity grows over the phases (default: geometric)").choices(
      scheduleNames,
    ),
  );
  option("--interval <epochs>", "of gmp, gradual and bimp: epochs between prunings", epochsParser("--interval", 1));
  option("--budget <epochs>", "of bimp: epochs of dense training first (default: half)", epochsParser("--budget", 0));
  command.addOption(
    new Option("--amplitude <name>", "of bimp: highest rates of the cycles (default: constant)").choices(amplitudes),
  );
  addDenseFlag(command);
  option("--learning-rate <x>", "highest rate, in place of the dense training's", positive("--learning-rate"));
  command.addOption(
    new Option(
      "--optimizer <name>",
      "default: that of the dense training; another one's highest rate is as for train",
    ).choices(optimizerNames),
  );
  option("--batch-size <n>", "examples a step (default: the dense training's, or 64)", wholeParser("--batch-size", 1));
  option("--momentum <x>", "of sgd (default: the dense training's, or 0.9)", below1("--momentum"));
  command.option("--nesterov", "look ahead along the momentum (sgd only)");
  option(
    "--weight-decay <x>",
    "default: the dense training's, or 5e-4",
    numberParser({
      flag: "--weight-decay",
      allowed: "a number of at least 0",
      accepts: (value) => value >= 0 && Number.isFinite(value),
    }),
  );
  option("--label-smoothing <x>", "default: the dense training's, or 0", below1("--label-smoothing"));
  command.option(
    "--rewind <file>",
    "after each pruning put kept weights back to those of this checkpoint of the same network",
  );
  option(
    "--patience <n>",
    "end a phase when the loss of held-out training examples has not fallen for n epochs, and keep the best",
    wholeParser("--patience", 1),
  );
  option(
    "--hold-out <x>",
    "share of the training split that is held out, for --patience and to judge whether a round ends better than it began (default: 0.1 with --patience, and for a network that does not say how it was trained)",
    numberParser({
      flag: "--hold-out",
      allowed: "a number between 0 and 1",
      accepts: (value) => value > 0 && value < 1,
    }),
  );
  command.optionsGroup("Sparsity by layer (recipe: allocation):");
  command.addOption(
    new Option(
      "--allocation <name>",
      "how the kept weights are spread over layers: global (scores compete), uniform, uniform+, erk, lamp, random, or one of a plugin (default: global)",
    ),
  );
  command.option(
    "--exclude <pattern>",
    "layers that are not pruned and do count: the others become sparser for them (--keep-dense leaves them out of the count). * for any characters; may be repeated",
    collect,
  );
  command.addOption(
    new Option("--layer-limit <pattern=s>", "largest sparsity of these layers; may be repeated").argParser<
      (readonly [string, number])[]
    >((text, previous) => [...(previous ?? []), parseLimit(text)]),
  );
}

/** --retrain-epochs, --phases and --dense-training alone: what a schedule of retraining is shown for. */
export function addScheduleFlags(command: Command): void {
  command.optionsGroup("For a schedule of retraining:");
  addEpochFlags(command);
  addDenseFlag(command);
}

/** --retrain-epochs, --phases */
function addEpochFlags(command: Command): void {
  const option = (flags: string, help: string, parse: (text: string) => unknown) =>
    command.addOption(new Option(flags, help).argParser(parse));
  option("--retrain-epochs <n>", "epochs of retraining in all (default: 10)", epochsParser("--retrain-epochs", 1));
  option(
    "--phases <n|auto>",
    "rounds of pruning and retraining, each pruning the same fraction of what is left; auto: 20 % a round (default: 1; gradual: 7)",
    (text) => (text === "auto" ? text : wholeParser("--phases", 1, 1000)(text)),
  );
}

/** --dense-training */
function addDenseFlag(command: Command): void {
  command.addOption(
    new Option(
      "--dense-training <schedule:rate:epochs>",
      `how MODEL was trained, such as one-cycle:0.1:10, which the rates of retraining come from; schedules: ${rateNames.join(", ")} (default: what secateur train wrote into MODEL)`,
    ).argParser(parseDense),
  );
}

function parseDense(text: string): DenseSettings {
  const [schedule, rate, epochs, ...more] = text.split(":");
  const known = rateNames.find((name) => name === schedule);
  const allowed = `SCHEDULE:RATE:EPOCHS with a schedule of ${rateNames.join(", ")}, such as one-cycle:0.1:10`;
  const numbers = [Number(rate), Number(epochs)] as const;
  const isFine = numbers[0] > 0 && Number.isFinite(numbers[0]) && Number.isInteger(numbers[1]) && numbers[1] >= 1;
  if (known === undefined || more.length > 0 || !isFine) {
    throw badFlagValue({ flag: "--dense-training", found: text, allowed });
  }
  return { schedule: known, learningRate: numbers[0], epochs: numbers[1] };
}

function parseLimit(text: string): readonly [string, number] {
  const at = text.lastIndexOf("=");
  const sparsity = at < 1 || at === text.length - 1 ? Number.NaN : Number(text.slice(at + 1));
  if (!(sparsity >= 0 && sparsity <= 1)) {
    throw badFlagValue({ flag: "--layer-limit", found: text, allowed: "PATTERN=SPARSITY such as fc3=0.8" });
  }
  return [text.slice(0, at), sparsity];
}

/** The retraining that flags and recipe ask for together, not judged yet; absent: none. @throws ERR_USAGE for a flag without effect */
export function retrainFromFlags(flags: RetrainFlags, recipe: RetrainSettings | undefined): object | undefined {
  const given = Object.entries(keys).filter(([flag]) => flags[flag as keyof RetrainFlags] !== undefined);
  if (flags.retrain === undefined && recipe === undefined) {
    const [stray] = given;
    if (stray !== undefined) {
      const flag = `--${stray[0].replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
      throw flagWithoutEffect({ flag, reason: "nothing is retrained without --retrain" });
    }
    return undefined;
  }
  const set = Object.fromEntries(given.map(([flag, key]) => [key, flags[flag as keyof RetrainFlags]]));
  const images = {
    ...(flags.cropPadding === undefined ? {} : { cropPadding: flags.cropPadding }),
    ...(flags.flip === undefined ? {} : { flip: flags.flip }),
  };
  // Another number of phases than a recipe's list of sparsities takes the list's place.
  const { sparsities, ...rest } = recipe ?? {};
  const kept = flags.phases === undefined && sparsities !== undefined ? { ...rest, sparsities } : rest;
  const schedule = flags.retrain ?? recipe?.schedule;
  return { epochs: 10, ...kept, ...images, ...set, schedule };
}

/** The allocation of flags and recipe; absent: global. */
export function allocationFromFlags(
  { allocation, exclude, layerLimit }: RetrainFlags,
  recipe: AllocationSettings | undefined,
): object | undefined {
  if (allocation === undefined && exclude === undefined && layerLimit === undefined) return recipe;
  return {
    ...recipe,
    ...(allocation === undefined ? {} : { method: allocation }),
    ...(exclude === undefined ? {} : { exclude }),
    ...(layerLimit === undefined ? {} : { limits: Object.fromEntries(layerLimit) }),
  };
}
