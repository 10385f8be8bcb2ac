/** The arguments of imp.ts. */
import { resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { badUsage } from "@secateur/run";
import { numberParser, wholeParser } from "../src/flags/number.ts";
import { dataFolder, sectionOf } from "./bench-arguments.ts";

/** The parts of the benchmark. */
export const sectionNames = ["schedules", "phases", "steps", "resnet"] as const;

/** One of {@link sectionNames}. */
export type SectionName = (typeof sectionNames)[number];

/** What to measure. */
export interface ImpArguments {
  /** Absolute path of a folder with resnet20-cifar10 and cifar10-subset; absent: without the ResNet. */
  readonly folder?: string;
  readonly sections: readonly SectionName[];
  readonly sparsities: readonly number[];
  /** Epochs of retraining in all. */
  readonly budgets: readonly number[];
  /** Seeds 0 .. seeds - 1. */
  readonly seeds: number;
  /** Of the kernels; results do not depend on it. */
  readonly threads?: number;
  /** Absolute path of the plot, where one is wanted. */
  readonly plot?: string;
}

/** How to call it. */
const usage = `npm run bench:imp [-- DATA_FOLDER] [--only SECTION]... [--sparsity S]... [--epochs N]... [--seeds N] [--threads N] [--plot FILE.svg]
  SECTION is one of ${sectionNames.join(", ")}; default: all, resnet only with DATA_FOLDER
  DATA_FOLDER holds resnet20-cifar10/*.safetensors and cifar10-subset/*.bin; MLPNet is the bundled one
  --seeds N runs seeds 0 to N - 1, default 3; --epochs defaults to 1, 5 and 10 epochs of retraining`;

/** Reads the arguments. @throws ERR_USAGE */
export function impArguments(args: readonly string[]): ImpArguments {
  const { values, positionals } = parsed(args);
  if (positionals.length > 1) throw badUsage(`found ${positionals.length} folders; give one`);
  const [given] = positionals;
  const fraction = numberParser({
    flag: "--sparsity",
    allowed: "a number from 0 to below 1",
    accepts: (value) => value >= 0 && value < 1,
  });
  const all = sectionNames.filter((name) => name !== "resnet" || given !== undefined);
  return {
    ...(given === undefined ? {} : { folder: dataFolder(given, ["resnet20-cifar10", "cifar10-subset"]) }),
    sections: values.only ? values.only.map((text) => sectionOf(sectionNames, text)) : all,
    sparsities: values.sparsity?.map(fraction) ?? [0.9, 0.95, 0.98, 0.99],
    budgets: values.epochs?.map(wholeParser("--epochs", 1)) ?? [1, 5, 10],
    seeds: wholeParser("--seeds", 1)(values.seeds ?? "3"),
    ...(values.threads === undefined ? {} : { threads: wholeParser("--threads", 1)(values.threads) }),
    ...(values.plot === undefined ? {} : { plot: resolve(process.env["INIT_CWD"] ?? "", values.plot) }),
  };
}

function parsed(args: readonly string[]) {
  const text = { type: "string" } as const;
  const several = { type: "string", multiple: true } as const;
  try {
    return parseArgs({
      args: [...args],
      options: { only: several, sparsity: several, epochs: several, seeds: text, threads: text, plot: text },
      allowPositionals: true,
    });
  } catch (error) {
    throw badUsage(`${error instanceof Error ? error.message : error}\n${usage}`);
  }
}
