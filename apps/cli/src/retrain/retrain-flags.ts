/** The flags of retraining and allocation, and what they stand for: the keys of a recipe's "retrain" and "allocation". */
import {
  type AugmentationFlags,
  admits,
  allowedValues,
  describeOption,
  flagWithoutEffect,
  kebab,
  optionValue,
  valueLabel,
} from "@secateur/run";
import {
  type DenseSettings,
  type RetrainFlag,
  type RetrainSettings,
  retrainFlags,
} from "@secateur/run/node/retrain/retrain-schema";
import type { AllocationSettings } from "@secateur/run/node/retrain/retrain-settings";
import { rateNames } from "@secateur/run/node/retrain/training-settings";
import { type Command, Option } from "commander";
import { badFlagValue } from "../errors.ts";
import { collect } from "../flags/common-flags.ts";

/** Settings of the retraining that are flags of the same name. */
type SameFlags = Omit<RetrainSettings, "schedule" | "epochs" | "dense" | "sparsities" | "cropPadding" | "flip">;

/** As commander hands them over. */
export interface RetrainFlags extends AugmentationFlags, Partial<SameFlags> {
  readonly retrain?: RetrainSettings["schedule"];
  readonly retrainEpochs?: number;
  readonly denseTraining?: DenseSettings;
  readonly allocation?: string;
  readonly exclude?: readonly string[];
  readonly layerLimit?: readonly (readonly [string, number])[];
}

/** Adds the flags to a command. */
export function addRetrainFlags(command: Command): void {
  command.optionsGroup("Retraining, in rounds with the pruning (recipe: retrain):");
  for (const flag of retrainFlags()) addRetrainFlag(command, flag);
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
  for (const flag of retrainFlags()) {
    if (["epochs", "phases", "dense"].includes(flag.key)) addRetrainFlag(command, flag);
  }
}

/** A flag as the schema describes it. */
function addRetrainFlag(command: Command, { key, option, property }: RetrainFlag): void {
  const flag = `--${kebab(option)}`;
  const help = describeOption(property);
  if (property["type"] === "boolean") {
    command.option(flag, help);
    return;
  }
  const label = { schedule: "<name>", rewind: "<file>", dense: "<schedule:rate:epochs>" }[key] ?? valueLabel(property);
  const parse = (text: string): unknown => {
    const value = optionValue(text, property);
    if (admits(property, value)) return value;
    throw badFlagValue({ flag, found: text, allowed: allowedValues(property) });
  };
  command.addOption(new Option(`${flag} ${label}`, help).argParser(key === "dense" ? parseDense : parse));
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
  const given = retrainFlags().filter(
    ({ option, key }) => key !== "schedule" && flags[option as keyof RetrainFlags] !== undefined,
  );
  if (flags.retrain === undefined && recipe === undefined) {
    const [stray] = given;
    if (stray !== undefined) {
      throw flagWithoutEffect({ flag: `--${kebab(stray.option)}`, reason: "nothing is retrained without --retrain" });
    }
    return undefined;
  }
  const set = Object.fromEntries(given.map(({ option, key }) => [key, flags[option as keyof RetrainFlags]]));
  const images = {
    ...(flags.cropPadding === undefined ? {} : { cropPadding: flags.cropPadding }),
    ...(flags.flip === undefined ? {} : { flip: flags.flip }),
  };
  // Another number of phases than a recipe's list of sparsities takes the list's place.
  const { sparsities, ...rest } = recipe ?? {};
  const kept = flags.phases === undefined && sparsities !== undefined ? { ...rest, sparsities } : rest;
  const schedule = flags.retrain ?? recipe?.schedule;
  return { ...kept, ...images, ...set, schedule };
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
