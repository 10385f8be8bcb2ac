/** The flags that set the run plan: how a solver is run, whatever it is. What is not set comes from the solver's own plan. */
import { type RunPlan, type ScheduleName, scheduleNames, unknownName } from "@secateur/core";
import { type Command, Option } from "commander";
import { badFlagValue } from "../errors.ts";
import { isDecimal, numberParser, wholeParser } from "./number.ts";

/** One settable field of a plan: its reason is not for the user to set. */
export type PlanKey = Exclude<keyof RunPlan, "reason">;

/** The settable fields of a plan: their flags have these names in kebab-case. */
export const planKeys: readonly PlanKey[] = [
  "stages",
  "targetStages",
  "schedule",
  "from",
  "examples",
  "batch",
  "ridge",
  "firstOrder",
  "regrow",
];

/** The fields that only a solver with gradients reads. */
export const gradientPlanKeys: readonly PlanKey[] = ["examples", "batch", "ridge", "firstOrder"];

/** Plan flags as commander hands them over. */
export type PlanFlags = { readonly [K in PlanKey]?: RunPlan[K] | "auto" };

const wholeStages = wholeParser("--stages", 1);

const parsers: { readonly [K in PlanKey]: (text: string) => RunPlan[K] | "auto" } = {
  stages: (text) => {
    if (text === "auto") return "auto";
    if (!isDecimal(text)) {
      throw badFlagValue({ flag: "--stages", found: text, allowed: "'auto' or a whole number of at least 1" });
    }
    return wholeStages(text);
  },
  targetStages: wholeParser("--target-stages", 0),
  schedule: (text) => {
    if (scheduleNames.some((name) => name === text)) return text as ScheduleName;
    throw unknownName({ where: "--schedule", what: "schedule", found: text, known: scheduleNames });
  },
  from: numberParser({
    flag: "--from",
    allowed: "a sparsity from 0 to below 1",
    accepts: (value) => value >= 0 && value < 1,
  }),
  examples: wholeParser("--examples", 1),
  batch: wholeParser("--batch", 1),
  ridge: (text) => {
    const allowed = "'auto' or a number of at least 0";
    return text === "auto"
      ? text
      : numberParser({ flag: "--ridge", allowed, accepts: (value) => value >= 0 && Number.isFinite(value) })(text);
  },
  firstOrder: parseBoolean("--first-order"),
  regrow: parseBoolean("--regrow"),
};

function parseBoolean(flag: string): (text: string) => boolean {
  return (text) => {
    if (text === "true" || text === "false") return text === "true";
    throw badFlagValue({ flag, found: text, allowed: "true or false" });
  };
}

/** A plan setting from the text of `--option key=value`. @throws ERR_USAGE, ERR_UNKNOWN_NAME */
export function parsePlanValue(key: PlanKey, text: string): PlanFlags {
  return { [key]: parsers[key](text) };
}

/** Adds the plan flags to a command. */
export function addPlanFlags(command: Command): void {
  const add = (flags: string, description: string, key: PlanKey) =>
    command.addOption(new Option(flags, description).argParser<unknown>(parsers[key]));
  command.optionsGroup("Stages and gradients (default: the solver's own plan; see 'secateur explain NAME'):");
  add("--stages <n|auto>", "prune in n stages of growing sparsity, with fresh gradients at each", "stages");
  add(
    "--target-stages <n>",
    "further stages at the target sparsity, which let weights settle and swap",
    "targetStages",
  );
  add("--schedule <name>", `how the sparsity grows over the stages: ${scheduleNames.join(", ")}`, "schedule");
  add("--from <s>", "sparsity that the schedule starts from", "from");
  add("--examples <n>", "gradient rows a stage; more rows cost time and generalise better", "examples");
  add("--batch <n>", "training examples averaged into one gradient row; larger is less noisy", "batch");
  add("--ridge <l2|auto>", "damping added to the curvature; larger stays nearer to the dense weights", "ridge");
  command
    .option("--first-order", "use the gradient itself as well as the curvature: for networks that are not at a minimum")
    .option("--no-first-order", "use the curvature only")
    .option("--regrow", "let a pruned weight come back in a later stage")
    .option("--no-regrow", "keep pruned weights pruned");
}

/** The plan that the flags ask for, without the fields that are left open. */
export function planFromFlags(flags: PlanFlags): RunPlan {
  const plan: Record<string, unknown> = {};
  for (const key of planKeys) {
    const value = flags[key];
    if (value === undefined || (key === "stages" && value === "auto")) continue;
    plan[key] = value;
  }
  return plan;
}
