/**
 * `npm run bench:obs [-- DATA_FOLDER]`: the Brain Surgeon family beside magnitude and CHITA; obs-arguments.ts has the options.
 * Every table is one `secateur compare` in a process of its own, so that its peak memory is its own too.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { isPruneError } from "@secateur/core";
import { badUsage } from "@secateur/run";
import { networkPath } from "./bench-network.ts";
import { nodeRun } from "./memory.ts";
import { type ObsArguments, obsArguments, type SectionName } from "./obs-arguments.ts";
import { printLine } from "./print.ts";

/** One model for all: rows of single examples, one ridge, no second look at the data. */
const sameModel = [
  ...["--curvature=empirical-fisher", "--batch=1", "--ridge-factors=1", "--stages=1", "--target-stages=0"],
  ...["--no-first-order", "--no-line-search"],
];

try {
  const args = obsArguments(process.argv.slice(2));
  for (const section of args.sections) {
    printLine(`\n== ${section}`);
    await runSection(section, args);
  }
} catch (error) {
  if (!isPruneError(error)) throw error;
  process.stderr.write(`bench:obs: ${error.message}\n`);
  process.exitCode = error.fault === "input" ? 2 : 1;
}

async function runSection(section: SectionName, { folder, seeds }: ObsArguments): Promise<void> {
  const mlpnet = [networkPath(folder), "--arch=mlpnet", "--data=mnist"];
  switch (section) {
    case "pairs":
      printLine("every selector with every updater, and the solvers, on the same 1000 rows with the same ridge");
      await compare([
        ...mlpnet,
        `--solvers=${pairs()},cbs,chita`,
        sparsities(0.9, 0.95),
        "--examples=1000",
        ...sameModel,
      ]);
      return;
    case "accuracy":
      for (let seed = 0; seed < seeds; seed++) {
        printLine(`everything by default, seed ${seed}`);
        await compare([
          ...mlpnet,
          "--solvers=woodfisher",
          sparsities(0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98),
          `--seed=${seed}`,
        ]);
        await compare([...mlpnet, "--solvers=cbs", sparsities(0.9, 0.95, 0.98), `--seed=${seed}`]);
      }
      return;
    case "rows":
      for (const rows of [1000, 10_000]) {
        for (const solver of ["cbs+cbs", "woodfisher"]) {
          printLine(`${solver}, ${rows} rows of single examples, one stage`);
          await compare([
            ...mlpnet,
            `--solvers=${solver}`,
            sparsities(0.9, 0.95, 0.98),
            `--examples=${rows}`,
            ...sameModel,
          ]);
        }
      }
      return;
    case "resnet":
      printLine("ResNet20 on a subset of CIFAR-10, everything by default");
      await compare([
        ...[checkpointIn(join(folder!, "resnet20-cifar10")), "--arch=resnet20"],
        ...[`--data=cifar10:${join(folder!, "cifar10-subset")}`, "--normalize=.4914,.4822,.4465,.2023,.1994,.2010"],
        ...["--solvers=magnitude,woodfisher,cbs,chita", sparsities(0.5, 0.6, 0.7, 0.8, 0.9)],
      ]);
      return;
    default:
      return section satisfies never;
  }
}

function pairs(): string {
  const updaters = ["none", "obs", "cbs", "bso"];
  const selectors = ["magnitude", "obd", "woodfisher", "cbs", "chita"];
  return selectors.flatMap((selector) => updaters.map((updater) => `${selector}+${updater}`)).join();
}

function sparsities(...values: readonly number[]): string {
  return `--sparsities=${values.join()}`;
}

/** Runs the command and prints its table. */
async function compare(args: readonly string[]): Promise<void> {
  const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));
  const { output } = await nodeRun([main, "compare", ...args], { quiet: !process.stderr.isTTY });
  printLine(output);
}

function checkpointIn(folder: string): string {
  const file = readdirSync(folder).find((name) => name.endsWith(".safetensors"));
  if (file === undefined)
    throw badUsage(`${folder}: it holds no *.safetensors; it must hold the checkpoint of ResNet20`);
  return join(folder, file);
}
