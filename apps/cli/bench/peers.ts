/**
 * `npm run bench:peers -- DATA`: what takes how long, beside other programs in the same run: the authors' own solver, torch, onnxruntime-web. A peer that is
 * not there is said and left out. Each side runs alone, one after the other; the machine's load stands beside the times.
 */
import { cpus, loadavg } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { isPruneError } from "@secateur/core";
import { badUsage } from "@secateur/run";
import { wholeParser } from "../src/flags/number.ts";
import { dataFolder, sectionOf } from "./bench-arguments.ts";
import { compareInference } from "./peers/inference.ts";
import { timeCommands } from "./peers/our-commands.ts";
import { openPython } from "./peers/python.ts";
import { compareSolve } from "./peers/solve.ts";
import { compareTraining } from "./peers/training.ts";
import { printLine } from "./print.ts";

const sections = ["solve", "commands", "train", "infer"] as const;
const usage = `npm run bench:peers -- DATA [--only SECTION]... [--chita CLONE] [--runtimes FOLDER] [--python PROGRAM] [--runs N]
  DATA holds mlpnet-mnist/*.safetensors, resnet20-cifar10/*.safetensors and cifar10-subset/*.bin
  SECTION is one of ${sections.join(", ")}; default: all
  CLONE is a clone of the repository of the authors of CHITA (needs numpy, numba and scikit-learn); FOLDER has onnxruntime-web in its node_modules
  PROGRAM runs the peers in Python, default: python3; --runs N takes the best of N, default 3`;

try {
  await run(process.argv.slice(2));
} catch (error) {
  if (!isPruneError(error)) throw error;
  process.stderr.write(`bench:peers: ${error.message}\n`);
  process.exitCode = error.fault === "input" ? 2 : 1;
}

async function run(args: readonly string[]): Promise<void> {
  const { values, positionals } = parsed(args);
  const [given, ...others] = positionals;
  if (given === undefined || others.length > 0) throw badUsage(`give one folder of data\n${usage}`);
  const folder = dataFolder(given, ["mlpnet-mnist"]);
  const runs = wholeParser("--runs", 1)(values.runs ?? "3");
  const python = await openPython(values.python ?? "python3");
  printLine(`Node ${process.versions.node}, ${cpus().length} x ${cpus()[0]?.model}; ${python.described}`);
  for (const section of values.only?.map((text) => sectionOf(sections, text)) ?? sections) {
    printLine(`\n== ${section}`);
    if (section === "solve") await compareSolve({ folder, runs, python, clone: placed(values.chita) });
    if (section === "commands") await timeCommands({ folder, runs });
    if (section === "train") await compareTraining({ python });
    if (section === "infer") await compareInference({ folder, runtimes: placed(values.runtimes) });
    printLine(
      `load ${loadavg()
        .map((value) => value.toFixed(2))
        .join(" ")}`,
    );
  }
}

/** A folder as it was given where npm was called. */
function placed(given: string | undefined): string | undefined {
  return given === undefined ? undefined : dataFolder(given, []);
}

function parsed(args: readonly string[]) {
  const text = { type: "string" } as const;
  const options = {
    only: { type: "string", multiple: true },
    chita: text,
    runtimes: text,
    python: text,
    runs: text,
  } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw badUsage(`${error instanceof Error ? error.message : error}\n${usage}`);
  }
}
