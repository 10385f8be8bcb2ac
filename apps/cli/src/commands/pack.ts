/** `secateur pack`: a pruned network into one small file that runs in the time of its kept weights. */
import { mapDataPaths } from "@secateur/run";
import { assertNotInput, dataPaths } from "@secateur/run/node/check-places";
import { readInputChoices } from "@secateur/run/node/open/input-choices";
import { readCosts } from "@secateur/run/node/pack/costs-file";
import { packText } from "@secateur/run/node/pack/pack-text";
import { runPack } from "@secateur/run/node/pack/run-pack";
import { type Command, Option } from "commander";
import { badFlagValue, missingFlag } from "../errors.ts";
import { addArchFlags } from "../flags/arch-flags.ts";
import { addDataFlags, addMessageFlags, addRunFlags, compressOption, type DataFlags } from "../flags/common-flags.ts";
import { addInputFlags, type InputFlags } from "../flags/input-flags.ts";
import { numberParser } from "../flags/number.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { printResult } from "../run/print-result.ts";
import { type SessionFlags, withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";

/** How values can be stored, the most exact first. */
const valueNames = ["f32", "f16", "int8", "int6", "int5", "int4"] as const;

interface PackFlags extends SessionFlags, InputFlags, DataFlags {
  readonly out?: string;
  readonly values?: (typeof valueNames)[number];
  readonly maxLoss?: number;
  readonly dense?: string;
  readonly arch?: string;
  readonly costs?: string;
  readonly compress?: boolean;
  readonly force?: boolean;
}

const examples = `
Examples:
  secateur pack net.chita-0.95.safetensors --out net.secateur
  secateur pack net.chita-0.95.safetensors --out net.secateur --data mnist --max-loss 0.1 --dense net.safetensors
  secateur pack vad.onnx --out vad.secateur --input-shape input=1,576 --input-shape state=2,1,128 --fix sr=16000 --state state=stateN`;

/** Adds the command. */
export function addPackCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("pack")
    .description(
      "Pack a pruned network: masks and values in few bits, each layer's fastest kernel; @secateur/runtime loads it.",
    )
    .argument("<model>", "checkpoint (safetensors or PyTorch) of a built-in network, an ONNX or TensorFlow.js model");
  command
    .optionsGroup("What to write:")
    .option("--out <file>", "the packed network (.secateur); always needed")
    .addOption(
      new Option("--values <type>", `how kept weights are stored: ${valueNames.join(", ")} (default: int8)`).argParser(
        parseValues,
      ),
    )
    .option(
      "--costs <file>",
      "what kernels take on the machine that will run it, from bench --calibrate --json (default: a usual one's)",
    )
    .option(...compressOption)
    .option("--force", "replace an existing output");
  command.optionsGroup("What to measure:");
  addDataFlags(command, "accuracy before and after storing the values, on the test split");
  command
    .addOption(
      new Option(
        "--max-loss <points>",
        "refuse to write where storing the values costs more points of accuracy than this",
      ).argParser(
        numberParser({
          flag: "--max-loss",
          allowed: "a number of at least 0",
          accepts: (value) => value >= 0 && Number.isFinite(value),
        }),
      ),
    )
    .option("--dense <model>", "the network before pruning, to compare with (default: MODEL with its zeros in place)");
  addInputFlags(command, { hasState: true });
  addArchFlags(command, terminal);
  addRunFlags(command);
  addMessageFlags(command, { hasEvents: false });
  command.addHelpText("after", examples).action(async (model: string) => {
    await callPack({ model, flags: command.opts<PackFlags>(), terminal });
  });
}

async function callPack({
  model,
  flags,
  terminal,
}: {
  model: string;
  flags: PackFlags;
  terminal: Terminal;
}): Promise<void> {
  const paths = (path: string) => absolutePath(terminal, path);
  if (flags.out === undefined)
    throw missingFlag("--out", "say where the packed network goes, for example --out net.secateur");
  const [source, out] = [paths(model), paths(flags.out)];
  const { values, maxLoss, normalize, preprocess, task, arch, compress = false, force = false } = flags;
  const data = flags.data === undefined ? undefined : mapDataPaths(flags.data, paths);
  const dense = flags.dense === undefined ? undefined : paths(flags.dense);
  const costs = flags.costs === undefined ? undefined : paths(flags.costs);
  assertNotInput({
    outputs: [{ flag: "--out", path: out }],
    inputs: [source, dense, costs, ...(data === undefined ? [] : dataPaths(data))],
  });
  const document = await withSession({ flags, terminal, overwrite: false }, async (session) =>
    runPack(
      {
        model: source,
        inputs: readInputChoices(flags),
        out,
        overwrite: force,
        cwd: terminal.cwd,
        ...{ arch, values, maxLoss, data, normalize, preprocess, task, dense, compress },
        ...(costs === undefined ? {} : { costs: await readCosts(costs) }),
      },
      session,
    ),
  );
  printResult({ terminal, flags, document, text: () => packText(document, dense !== undefined) });
}

function parseValues(text: string): (typeof valueNames)[number] {
  const found = valueNames.find((name) => name === text);
  if (found === undefined) throw badFlagValue({ flag: "--values", found: text, allowed: valueNames.join(", ") });
  return found;
}
