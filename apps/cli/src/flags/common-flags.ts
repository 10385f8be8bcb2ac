/** Flags that several commands share, defined once so that they read alike everywhere. */
import { firstPartyTasks } from "@secateur/core";
import { dataSources } from "@secateur/datasets";
import { type KernelChoice, kernelChoices } from "@secateur/run";
import { type EngineChoice, engineChoices } from "@secateur/run/node/open/load-tensorflow";
import { type Command, Option } from "commander";
import { badFlagValue } from "../errors.ts";
import { numberParser, wholeParser } from "./number.ts";

/** Lists of values for a flag that may be repeated. */
export function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}

/** What `addDataFlags` adds, as commander hands it over. */
export interface DataFlags {
  readonly data?: string;
  readonly task?: string;
  readonly normalize?: string;
  readonly preprocess?: string;
}

/** --data, --task, --normalize, --preprocess */
export function addDataFlags(command: Command, purpose: string): void {
  const usages = dataSources.flatMap((source) => source.usages);
  command
    .option("--data <data>", `${purpose}: ${usages.join(", ")}`)
    .option(
      "--task <name>",
      `what the outputs mean, NAME or NAME:KEY=VALUE,...: ${firstPartyTasks.map(({ name }) => name).join(", ")} (default: told from the network and the data; without targets distillation)`,
    )
    .option(
      "--normalize <mean,std>",
      "subtract the mean and divide by the standard deviation (default: what the model's files say, else the dataset's own)",
    )
    .option(
      "--preprocess <steps>",
      "how images are prepared, such as resize=256,crop=224,color=bgr, or the preprocessor_config.json of a model card, or none (default: what the model's files say)",
    );
}

/** --compress */
export const compressOption: [string, string] = [
  "--compress",
  "also write NAME.gz and NAME.br beside the output, for hosts that compress nothing themselves (.secateur: NAME.br)",
];

/** --engine */
export function addEngineFlag(command: Command): void {
  command.addOption(
    new Option(
      "--engine <name>",
      `for a TensorFlow.js model, what runs it: ${engineChoices.join(", ")} (default: auto, the fastest one installed)`,
    ).argParser(parseEngine),
  );
}

/** --include-frozen */
export function addFrozenFlag(command: Command): void {
  command.option("--include-frozen", "prune weights of a TensorFlow.js model's frozen layers too (default: they stay)");
}

function parseEngine(text: string): EngineChoice {
  const choice = engineChoices.find((name) => name === text);
  if (choice === undefined) {
    throw badFlagValue({ flag: "--engine", found: text, allowed: engineChoices.join(", ") });
  }
  return choice;
}

/** --sparsity; the range is judged where it is used, so that its message is the same everywhere. */
export function addSparsityFlag(command: Command, fallback: string): void {
  command.addOption(
    new Option(
      "--sparsity <s>",
      `fraction of the prunable weights to remove, from 0 to below 1 (${fallback})`,
    ).argParser(
      numberParser({ flag: "--sparsity", allowed: "a number such as 0.9", accepts: (value) => !Number.isNaN(value) }),
    ),
  );
}

/** --keep-dense */
export function addKeepDenseFlag(command: Command): void {
  command.option(
    "--keep-dense <a,b,...>",
    "weights that are not pruned and do not count: the sparsity is that of the others. first, last, auto (the first convolution, the last layer, depthwise convolutions), or names of layers (default: none; biases and normalisations are never pruned)",
    listOfWords,
  );
}

function listOfWords(text: string): readonly string[] {
  const words = text.split(",").map((word) => word.trim());
  if (words.includes("")) {
    throw badFlagValue({
      flag: "--keep-dense",
      found: text,
      allowed: "first, last, auto or names of layers, joined by commas, such as first,last",
    });
  }
  return words;
}

/** --seed, --kernels, --threads, --profile */
export function addRunFlags(command: Command): void {
  command
    .optionsGroup("How it runs:")
    .addOption(
      new Option("--seed <n>", "of all random choices; the same seed gives the same bytes (default: 0)").argParser(
        wholeParser("--seed", 0),
      ),
    )
    .addOption(
      new Option("--kernels <name>", "wasm: fast; reference: plain TypeScript (default: wasm)").argParser(parseKernels),
    )
    .addOption(
      new Option(
        "--threads <n>",
        "threads of the wasm kernels; results do not depend on it (default: the machine's cores, at most 8)",
      ).argParser(wholeParser("--threads", 1)),
    )
    .option("--profile", "say at the end, on standard error, which tasks and kernels the time went to");
}

function parseKernels(text: string): KernelChoice {
  const choice = kernelChoices.find((name) => name === text);
  if (choice === undefined) {
    throw badFlagValue({ flag: "--kernels", found: text, allowed: kernelChoices.join(" or ") });
  }
  return choice;
}

/** --events, --quiet, --json */
export function addMessageFlags(command: Command, options: { hasEvents: boolean }): void {
  command.optionsGroup("What it prints:");
  if (options.hasEvents) command.option("--events <file>", "write every event of the run as a line of JSON");
  command
    .option("--quiet", "print no progress and no notes, and without --json no result")
    .option("--json", "print one JSON document on stdout and nothing else there");
}

/** --opset of commands that write models. */
export function opsetOption(): Option {
  return new Option(
    "--opset <n>",
    "ONNX operator set of what becomes ONNX (default: the lowest that holds it)",
  ).argParser(wholeParser("--opset", 1));
}

/** --multiple-of of commands that cut channels out. */
export function multipleOption(): Option {
  return new Option(
    "--multiple-of <n>",
    "leave so many channels that every width is a multiple of it, which some runtimes want: 8 or 16 (default: 1)",
  ).argParser(wholeParser("--multiple-of", 1));
}
