/** The flags that set the run plan: how a solver is run, whatever it is. What is not set comes from the solver's own plan. */
import { type RunPlan, type ScheduleName, scheduleNames, unknownName } from "@secateur/core";
import { type PlanKey, planKeys } from "@secateur/run";
import { type Command, Option } from "commander";
import { badFlagValue } from "../errors.ts";
import { numberParser, wholeParser } from "./number.ts";

/** Plan flags as commander hands them over; "auto" leaves a field to the solver's plan. */
export type PlanFlags = { readonly [K in PlanKey]?: RunPlan[K] | "auto" };

interface PlanSetting<T> {
  /** The flag with what it takes; nothing for one that is on or off. */
  readonly flag: string;
  readonly help: string;
  /** The help of its opposite, for a flag that is on or off. */
  readonly off?: string;
  parse(text: string): T | "auto";
}

const settings: { readonly [K in PlanKey]-?: PlanSetting<RunPlan[K]> } = {
  stages: {
    flag: "--stages <n|auto>",
    help: "prune in n stages in all, split by the solver into rising ones and ones at the target; with --target-stages: n rising ones; fresh gradients at each; auto: as the solver's plan says",
    parse: orAuto("--stages", "a whole number of at least 1", (value) => Number.isSafeInteger(value) && value >= 1),
  },
  targetStages: {
    flag: "--target-stages <n>",
    help: "stages at the target sparsity after the rising ones, so that --stages counts the rising ones only; weights settle and swap there",
    parse: wholeParser("--target-stages", 0),
  },
  schedule: {
    flag: "--schedule <name>",
    help: `how the sparsity grows over the stages: ${scheduleNames.join(", ")}`,
    parse: parseSchedule,
  },
  from: {
    flag: "--from <s>",
    help: "sparsity that the schedule starts from",
    parse: numberParser({
      flag: "--from",
      allowed: "a sparsity from 0 to below 1",
      accepts: (value) => value >= 0 && value < 1,
    }),
  },
  regrow: {
    flag: "--regrow",
    help: "let a pruned weight come back in a later stage",
    off: "keep pruned weights pruned",
    parse: parseSwitch("--regrow"),
  },
  growth: {
    flag: "--growth <x>",
    help: "pruned weights put on trial in a stage at the target, as a fraction of the kept ones",
    parse: notNegative("--growth"),
  },
  curvature: {
    flag: "--curvature <name>",
    help: "which model of the loss; secateur plugins lists them",
    parse: (text) => text,
  },
  examples: {
    flag: "--examples <n>",
    help: "gradient rows a stage; more cost time and generalise better",
    parse: wholeParser("--examples", 1),
  },
  targetExamples: {
    flag: "--target-examples <n>",
    help: "the same for the stages at the target (with --examples: as many)",
    parse: wholeParser("--target-examples", 1),
  },
  batch: {
    flag: "--batch <n>",
    help: "training examples averaged into one gradient row; larger is less noisy",
    parse: wholeParser("--batch", 1),
  },
  ridge: {
    flag: "--ridge <l2|auto>",
    help: "damping added to the curvature; larger stays nearer to the present weights; auto: measured on the rows",
    parse: orAuto("--ridge", "a number of at least 0", (value) => value >= 0 && Number.isFinite(value)),
  },
  ridgeFactors: {
    flag: "--ridge-factors <a,b,...>",
    help: "multiples of an automatic ridge to try; the lowest loss on held-out training examples wins",
    parse: (text) => text.split(",").map(notNegative("--ridge-factors")),
  },
  temperature: {
    flag: "--temperature <x>",
    help: "divides the logits where the curvature uses class probabilities; above 1 softens over-confident ones",
    parse: numberParser({
      flag: "--temperature",
      allowed: "a number above 0",
      accepts: (value) => value > 0 && Number.isFinite(value),
    }),
  },
  firstOrder: {
    flag: "--first-order",
    help: "use the gradient itself as well as the curvature: for networks that are not at a minimum",
    off: "use the curvature only",
    parse: parseSwitch("--first-order"),
  },
  distill: {
    flag: "--distill",
    help: "with --first-order, lead back to the class probabilities the network had before pruning",
    off: "lead to the labels",
    parse: parseSwitch("--distill"),
  },
  lineSearch: {
    flag: "--line-search",
    help: "halve a step while that lowers the loss of held-out training examples",
    off: "take every step whole",
    parse: parseSwitch("--line-search"),
  },
  tryMagnitude: {
    flag: "--try-magnitude",
    help: "let the largest magnitudes, as they are, compete in every stage and at the end",
    off: "compete with the mask of the solver alone",
    parse: parseSwitch("--try-magnitude"),
  },
};

function parseSchedule(text: string): ScheduleName {
  if (scheduleNames.some((name) => name === text)) return text as ScheduleName;
  throw unknownName({ where: "--schedule", what: "schedule", found: text, known: scheduleNames });
}

function notNegative(flag: string): (text: string) => number {
  const accepts = (value: number) => value >= 0 && Number.isFinite(value);
  return numberParser({ flag, allowed: "a number of at least 0", accepts });
}

function orAuto(flag: string, words: string, accepts: (value: number) => boolean): (text: string) => number | "auto" {
  const parse = numberParser({ flag, allowed: `'auto' or ${words}`, accepts });
  return (text) => (text === "auto" ? text : parse(text));
}

function parseSwitch(flag: string): (text: string) => boolean {
  return (text) => {
    if (text === "true" || text === "false") return text === "true";
    throw badFlagValue({ flag, found: text, allowed: "true or false" });
  };
}

/** A plan setting from the text of `--option key=value`. @throws ERR_USAGE, ERR_UNKNOWN_NAME */
export function parsePlanValue(key: PlanKey, text: string): PlanFlags {
  return { [key]: settings[key].parse(text) };
}

/** Adds the plan flags to a command. */
export function addPlanFlags(command: Command): void {
  command.optionsGroup("Stages and gradients (default: the solver's own plan; see 'secateur explain NAME'):");
  for (const key of planKeys) {
    const { flag, help, off, parse } = settings[key];
    if (off === undefined) command.addOption(new Option(flag, help).argParser<unknown>(parse));
    else command.option(flag, help).option(flag.replace("--", "--no-"), off);
  }
}

/** The plan that the flags ask for, without the fields that are left open. */
export function planFromFlags(flags: PlanFlags): RunPlan {
  const plan: Record<string, unknown> = {};
  for (const key of planKeys) {
    const value = flags[key];
    // An automatic ridge is a setting of its own; automatic stages are none.
    if (value === undefined || (key === "stages" && value === "auto")) continue;
    plan[key] = value;
  }
  return plan;
}
