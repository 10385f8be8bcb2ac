/** What the arguments of the benchmarks have in common. */
import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { badUsage } from "@secateur/run";

/** The section that --only names. @throws ERR_USAGE unless it is known */
export function sectionOf<Name extends string>(known: readonly Name[], text: string): Name {
  const name = known.find((one) => one === text);
  if (!name) throw badUsage(`--only: found '${text}', allowed is one of ${known.join(", ")}`);
  return name;
}

/** Absolute path of the folder of data. @throws ERR_USAGE unless it and the folders it must hold are there */
export function dataFolder(given: string, holds: readonly string[]): string {
  // npm starts scripts in the root of the repository and says here where it was called.
  const folder = resolve(process.env["INIT_CWD"] ?? "", given);
  for (const place of [folder, ...holds.map((name) => join(folder, name))]) {
    if (!statSync(place, { throwIfNoEntry: false })?.isDirectory()) {
      throw badUsage(`${place}: it is no folder; give one that holds ${holds.join(" and ")}, or none`);
    }
  }
  return folder;
}
