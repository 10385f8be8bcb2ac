/** The arguments of chita.ts. */
import { parseArgs } from "node:util";
import { badUsage } from "@secateur/run";
import { numberParser, wholeParser } from "../src/flags/number.ts";
import { dataFolder, sectionOf } from "./bench-arguments.ts";

/** The parts of the benchmark; "resnet20" and "huge" run only when asked for. */
export const sectionNames = ["instances", "objective", "accuracy", "stages", "memory", "resnet20", "huge"] as const;

/** One of {@link sectionNames}. */
export type SectionName = (typeof sectionNames)[number];

/** What to measure. */
export interface ChitaArguments {
  /** Absolute path; absent: the bundled network. */
  readonly folder?: string;
  readonly sections: readonly SectionName[];
  readonly sparsities: readonly number[];
  /** Seeds 0 .. seeds - 1. */
  readonly seeds: number;
  /** Weights of the problem of "huge". */
  readonly weights: number;
}

/** How to call it. */
const usage = `npm run bench:chita [-- DATA_FOLDER] [--only SECTION]... [--sparsity S]... [--seeds N] [--p N]
  SECTION is one of ${sectionNames.join(", ")}; default: all but resnet20 and huge
  DATA_FOLDER holds mlpnet-mnist/*.safetensors and chita-instances/*.json; default: the bundled network, without published figures;
  for resnet20 also resnet20-cifar10/*.safetensors and cifar10-subset/*.bin
  --seeds N runs seeds 0 to N - 1, default 3; --p N is the size of the huge problem, default 25600000`;

/** Reads the arguments. @throws ERR_USAGE */
export function chitaArguments(args: readonly string[]): ChitaArguments {
  const { values, positionals } = parsed(args);
  if (positionals.length > 1) throw badUsage(`found ${positionals.length} folders; give one`);
  const [given] = positionals;
  const fraction = numberParser({
    flag: "--sparsity",
    allowed: "a number from 0 to below 1",
    accepts: (value) => value >= 0 && value < 1,
  });
  return {
    ...(given === undefined ? {} : { folder: dataFolder(given, ["mlpnet-mnist", "chita-instances"]) }),
    sections: values.only
      ? values.only.map((text) => sectionOf(sectionNames, text))
      : sectionNames.filter((name) => name !== "huge" && name !== "resnet20"),
    sparsities: values.sparsity?.map(fraction) ?? [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98],
    seeds: wholeParser("--seeds", 1)(values.seeds ?? "3"),
    weights: wholeParser("--p", 1)(values.p ?? "25600000"),
  };
}

function parsed(args: readonly string[]) {
  const text = { type: "string" } as const;
  const several = { type: "string", multiple: true } as const;
  try {
    return parseArgs({
      args: [...args],
      options: { only: several, sparsity: several, seeds: text, p: text },
      allowPositionals: true,
    });
  } catch (error) {
    throw badUsage(`${error instanceof Error ? error.message : error}\n${usage}`);
  }
}
