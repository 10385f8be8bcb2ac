/** --units: what is kept or removed together, and in which pattern. */
import { type Command, Option } from "commander";
import { badFlagValue } from "../errors.ts";

/** Single weights, or `keep` of every `of` neighbouring inputs of a row. */
export type UnitsFlag = "weights" | { readonly keep: number; readonly of: number };

const allowed = "weights, or of-every:KEEP/OF such as of-every:2/4 (keeps 2 of every 4 inputs of a row)";

/** Adds the flag. */
export function addUnitsFlag(command: Command): void {
  command.addOption(new Option("--units <units>", `${allowed} (default: weights)`).argParser(parseUnits));
}

function parseUnits(text: string): UnitsFlag {
  if (text === "weights") return "weights";
  const match = /^of-every:(\d{1,6})\/(\d{1,6})$/.exec(text);
  const [keep, of] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || of < 1 || keep > of) throw badFlagValue({ flag: "--units", found: text, allowed });
  return { keep, of };
}
