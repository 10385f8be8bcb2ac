import { badUsage } from "@secateur/run";
import type { Command } from "commander";

/**
 * Refuses a flag beside its opposite, `--x` with `--no-x`, of which commander would silently take the last. To be called once
 * all flags are there. (Of one flag that is given twice the last counts, as everywhere, so that a script can add to a command.)
 */
export function refuseContradictions(command: Command): void {
  const given = new Map<string, string>();
  for (const option of command.options) {
    const flag = option.long ?? "";
    command.on(`option:${option.name()}`, () => {
      const earlier = given.get(option.attributeName()) ?? flag;
      if (earlier !== flag)
        throw badUsage(`${earlier} and ${flag} contradict each other; leave one out`, { earlier, flag });
      given.set(option.attributeName(), flag);
    });
  }
}
