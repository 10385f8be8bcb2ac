import { badUsage } from "@secateur/run";
import type { Command } from "commander";

/** Flags that may be given again, each adding to the ones before. */
const REPEATABLE = ["--option", "--map", "--exclude", "--layer-limit"];

/**
 * Refuses a flag that is given twice, of which commander would silently take the last, and a flag beside its opposite. To be
 * called once all flags are there.
 */
export function refuseRepeats(command: Command): void {
  const given = new Map<string, string>();
  for (const option of command.options) {
    const flag = option.long ?? option.short ?? "";
    if (option.variadic || REPEATABLE.includes(flag)) continue;
    command.on(`option:${option.name()}`, () => note(option.attributeName(), flag));
  }
  function note(key: string, flag: string): void {
    const earlier = given.get(key);
    if (earlier === undefined) given.set(key, flag);
    else if (earlier === flag) throw badUsage(`${flag} is given twice; leave one out`);
    else throw badUsage(`${earlier} and ${flag} contradict each other; leave one out`);
  }
}
