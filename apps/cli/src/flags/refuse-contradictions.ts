import { badUsage } from "@secateur/run";
import type { Command } from "commander";
import type { Terminal } from "../terminal.ts";

/**
 * Refuses a flag beside its opposite, `--x` with `--no-x`, of which commander would silently take the last. To be called once
 * all flags are there. Of one flag that is given twice the last counts, as everywhere, so that a script can add to a command; that
 * is said, but for flags that make a list.
 */
export function refuseContradictions(command: Command, terminal: Terminal): void {
  const given = new Map<string, string>();
  const twice = new Set<string>();
  for (const option of command.options) {
    const flag = option.long ?? "";
    command.on(`option:${option.name()}`, () => {
      const earlier = given.get(option.attributeName());
      given.set(option.attributeName(), flag);
      if (earlier === undefined) return;
      if (earlier !== flag) {
        throw badUsage(`${earlier} and ${flag} contradict each other; leave one out`, { earlier, flag });
      }
      if (!option.isBoolean()) twice.add(option.attributeName());
    });
  }
  command.hook("preAction", () => {
    const values = command.opts();
    if (values["quiet"]) return;
    for (const name of twice) {
      if (!Array.isArray(values[name])) {
        terminal.stderr.write(`${given.get(name)} is given more than once; the last one counts\n`);
      }
    }
  });
}
