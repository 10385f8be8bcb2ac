/** A solver's own options as flags: `maxIterations` of its schema becomes --max-iterations. */
import { optionProperties } from "@secateur/core";
import {
  admittedTypes,
  badUsage,
  describeOption,
  kebab,
  optionValue,
  type PlanKey,
  planKeys,
  type SolverEntry,
  splitPair,
  unknownOption,
  valueLabel,
} from "@secateur/run";
import { type Command, Option } from "commander";
import { type PlanFlags, parsePlanValue } from "./plan-flags.ts";

/** Adds a flag for every option that no flag of the command's own hides. Hidden ones are set with --option. */
export function addSolverFlags(command: Command, entry: SolverEntry): void {
  const taken = new Set(command.options.map((option) => option.long));
  const own = Object.entries(optionProperties(entry.options)).filter(([key]) => !taken.has(`--${kebab(key)}`));
  if (own.length === 0) return;
  command.optionsGroup(`Options of the solver ${entry.name} (another with --solver NAME --help):`);
  for (const [key, property] of own) {
    const description = describeOption(property);
    const types = admittedTypes(property);
    if (types.size === 1 && types.has("boolean")) {
      command.option(`--${kebab(key)}`, description).option(`--no-${kebab(key)}`, `not so: ${kebab(key)}`);
    } else {
      const flags = `--${kebab(key)} ${valueLabel(property)}`;
      command.addOption(new Option(flags, description).argParser((text) => optionValue(text, property)));
    }
  }
}

/** What `--option` and the flags say about a solver and about its plan. */
export interface SolverSettings {
  readonly options: Readonly<Record<string, unknown>>;
  readonly plan: PlanFlags;
}

/**
 * Sorts the user's settings into solver options and plan settings. A setting given by `--option` and by its flag is refused.
 *
 * @param spec.flags - all flags as commander hands them over
 * @param spec.pairs - the texts of --option
 * @throws ERR_USAGE for a text without '=', or a key that neither the solver nor the plan has
 */
export function solverSettings(spec: {
  entry: SolverEntry;
  flags: Readonly<Record<string, unknown>>;
  pairs: readonly string[];
  /** Whether plan settings are allowed; false for `solve`, which has no stages. */
  hasPlan: boolean;
  /** Long names of the command's own flags: a solver option of the same name is set with --option only. */
  ownFlags: ReadonlySet<string>;
}): SolverSettings {
  const properties = optionProperties(spec.entry.options);
  const options: Record<string, unknown> = {};
  for (const key of Object.keys(properties)) {
    if (spec.flags[key] !== undefined && !spec.ownFlags.has(`--${kebab(key)}`)) options[key] = spec.flags[key];
  }
  const given = spec.flags;
  let plan: PlanFlags = {};
  for (const pair of spec.pairs) {
    const [typed, text] = splitPair("--option", pair);
    const key = [...Object.keys(properties), ...planKeys].find((known) => known === typed || kebab(known) === typed);
    if (
      key !== undefined &&
      given[key] !== undefined &&
      (properties[key] === undefined || options[key] !== undefined)
    ) {
      throw badUsage(`--option ${pair} and --${kebab(key)} set the same thing; give one of them`, { pair });
    }
    if (key !== undefined && properties[key] !== undefined) options[key] = optionValue(text, properties[key]);
    else if (key !== undefined && spec.hasPlan) plan = { ...plan, ...parsePlanValue(key as PlanKey, text) };
    else {
      const known = [...Object.keys(properties), ...(spec.hasPlan ? planKeys : [])];
      throw unknownOption({ solver: spec.entry.name, found: typed, known });
    }
  }
  return { options, plan };
}
