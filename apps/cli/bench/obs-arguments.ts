/** The arguments of obs.ts. */
import { parseArgs } from "node:util";
import { badUsage } from "@secateur/run";
import { wholeParser } from "../src/flags/number.ts";
import { dataFolder, sectionOf } from "./bench-arguments.ts";

/** The parts of the benchmark. */
export const sectionNames = ["pairs", "accuracy", "rows", "resnet"] as const;

/** One of {@link sectionNames}. */
export type SectionName = (typeof sectionNames)[number];

/** What to measure. */
export interface ObsArguments {
  /** Absolute path; absent: the bundled network, and no ResNet. */
  readonly folder?: string;
  readonly sections: readonly SectionName[];
  /** Seeds 0 .. seeds - 1 of the section "accuracy". */
  readonly seeds: number;
}

/** How to call it. */
const usage = `npm run bench:obs [-- DATA_FOLDER] [--only SECTION]... [--seeds N]
  SECTION is one of ${sectionNames.join(", ")}; default: all, resnet only with DATA_FOLDER
  DATA_FOLDER holds mlpnet-mnist/*.safetensors, resnet20-cifar10/*.safetensors and cifar10-subset/*.bin; default: the bundled network
  --seeds N runs seeds 0 to N - 1 of the section accuracy, default 3`;

/** Reads the arguments. @throws ERR_USAGE */
export function obsArguments(args: readonly string[]): ObsArguments {
  const { values, positionals } = parsed(args);
  if (positionals.length > 1) throw badUsage(`found ${positionals.length} folders; give one`);
  const [given] = positionals;
  const asked = values.only?.map((text) => sectionOf(sectionNames, text));
  if (asked?.includes("resnet") && given === undefined) throw badUsage(`--only resnet needs DATA_FOLDER\n${usage}`);
  return {
    ...(given === undefined ? {} : { folder: dataFolder(given, ["mlpnet-mnist"]) }),
    sections: asked ?? sectionNames.filter((name) => name !== "resnet" || given !== undefined),
    seeds: wholeParser("--seeds", 1)(values.seeds ?? "3"),
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: { only: { type: "string", multiple: true }, seeds: { type: "string" } },
      allowPositionals: true,
    });
  } catch (error) {
    throw badUsage(`${error instanceof Error ? error.message : error}\n${usage}`);
  }
}
