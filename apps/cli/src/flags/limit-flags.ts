/** The flags that limit other things than the number of weights: the keys of a recipe have their names. */
import { type LimitSettings, limitKeys, parseUnits, unitsAllowed } from "@secateur/run";
import { type Command, Option } from "commander";
import { badFlagValue } from "../errors.ts";
import { collect, multipleOption } from "./common-flags.ts";
import { numberParser } from "./number.ts";

/** As commander hands them over. */
export type LimitFlags = LimitSettings & {
  /** A file of `secateur bench --calibrate --json`. */
  readonly costs?: string;
  readonly cut?: boolean;
  readonly multipleOf?: number;
};

const fraction = (flag: string) =>
  numberParser({ flag, allowed: "a number above 0, at most 1", accepts: (value) => value > 0 && value <= 1 });

/** Adds the flags. */
export function addLimitFlags(command: Command): void {
  command.optionsGroup(
    "What is limited, beside --sparsity or in its place (recipe: flops, bytes, milliseconds, units):",
  );
  command
    .addOption(
      new Option("--flops <x>", "fraction of the prunable weights' operations to keep").argParser(fraction("--flops")),
    )
    .addOption(
      new Option(
        "--bytes <x>",
        "fraction to keep of the bytes of the packed network (int8, before compression)",
      ).argParser(fraction("--bytes")),
    )
    .addOption(
      new Option("--milliseconds <x>", "time of the packed network for one example on one thread").argParser(
        numberParser({
          flag: "--milliseconds",
          allowed: "a number above 0",
          accepts: (value) => value > 0 && value < 1e9,
        }),
      ),
    )
    .option("--costs <file>", "with --milliseconds: what kernels take on the machine, the same file as for pack")
    .addOption(
      new Option(
        "--units <[pattern=]units>",
        `what is kept or removed together: ${unitsAllowed}; may be repeated, the first that fits a layer decides (default: weights)`,
      ).argParser((text: string, before: readonly string[] | undefined) => {
        if (!parseUnits(text)) throw badFlagValue({ flag: "--units", found: text, allowed: unitsAllowed });
        return collect(text, before);
      }),
    )
    .option("--cut", "take channels without weights out of what is written, as secateur cut does")
    .addOption(multipleOption());
}

/** What flags and recipe limit together. */
export function limitsFromFlags(flags: LimitFlags, recipe: LimitSettings = {}): LimitSettings {
  return Object.fromEntries(
    limitKeys.map((key) => [key, flags[key] ?? recipe[key]]).filter(([, value]) => value !== undefined),
  );
}
