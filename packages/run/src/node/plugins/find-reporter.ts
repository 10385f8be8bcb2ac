import { extname } from "node:path";
import { isPruneError, type Reporter } from "@secateur/core";
import { badEnding } from "../../errors.ts";
import { findEntry } from "./find-entry.ts";
import { firstPartyPlugins } from "./first-party.ts";

/**
 * The reporter that the ending of a report's name chooses: ours, or the plugin's entry that is named as the ending is, "md" for
 * "report.md".
 *
 * @param from - the folder from which plugins are looked for
 * @throws ERR_OUTPUT_FORMAT with the endings known here; what is wrong with a plugin
 */
export async function findReporter(path: string, from: string): Promise<Reporter> {
  const ending = extname(path).toLowerCase();
  const known: string[] = [];
  for (const own of firstPartyPlugins) {
    for (const entry of (await own.load()).entries) {
      if (entry.kind !== "reporter") continue;
      const reporter = entry.create({} as never);
      if (reporter.endings.includes(ending)) return reporter;
      known.push(...reporter.endings);
    }
  }
  try {
    if (ending.length > 1) {
      const { entry } = await findEntry({ name: ending.slice(1), from, kinds: ["reporter"] });
      return entry.create({} as never);
    }
  } catch (error) {
    if (!isPruneError(error) || error.code !== "ERR_UNKNOWN_NAME") throw error;
  }
  throw badEnding({ flag: "--report", path, allowed: known.join(" or ") });
}
