/** `secateur pack`: a pruned network into one small file that runs in the time of its kept weights. */
import { type Evaluation, mainMeasure } from "@secateur/core";
import { formatBytes, formatCount, formatFraction, formatMeasure, formatTable, plainText } from "@secateur/report/text";
import { mapDataPaths } from "@secateur/run";
import { type PackDocument, readCosts, readInputChoices, runPack } from "@secateur/run/node";
import { type Command, Option } from "commander";
import { badFlagValue, missingFlag } from "../errors.ts";
import { addArchFlags } from "../flags/arch-flags.ts";
import { addDataFlags, addMessageFlags, addRunFlags } from "../flags/common-flags.ts";
import { addInputFlags, type InputFlags } from "../flags/input-flags.ts";
import { numberParser } from "../flags/number.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { assertNotInput, dataPaths } from "../run/check-places.ts";
import { printResult } from "../run/print-result.ts";
import { type SessionFlags, withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";

/** How values can be stored, the most exact first. */
const valueNames = ["f32", "f16", "int8", "int4"] as const;

interface PackFlags extends SessionFlags, InputFlags {
  readonly out?: string;
  readonly values?: (typeof valueNames)[number];
  readonly maxLoss?: number;
  readonly data?: string;
  readonly normalize?: string;
  readonly task?: string;
  readonly dense?: string;
  readonly arch?: string;
  readonly costs?: string;
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
    .summary("make a small file that runs fast")
    .description(
      "Pack a pruned network: masks and values in few bits, each layer's fastest kernel; @secateur/runtime loads it.",
    )
    .argument("<model>", "checkpoint (safetensors or PyTorch) of a built-in network, or an ONNX model");
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
  const { values, maxLoss, normalize, task, arch, force = false } = flags;
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
        ...(arch === undefined ? {} : { arch }),
        ...(values === undefined ? {} : { values }),
        ...(maxLoss === undefined ? {} : { maxLoss }),
        ...(data === undefined ? {} : { data }),
        ...(normalize === undefined ? {} : { normalize }),
        ...(task === undefined ? {} : { task }),
        ...(dense === undefined ? {} : { dense }),
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

const right = { align: "right" } as const;

function packText(document: PackDocument, hasDense: boolean): string {
  const { bytes, weights, values, accuracy } = document;
  const of = hasDense ? "before pruning" : "zeros in place";
  const stored = [
    [`f32, ${of}`, bytes.denseF32],
    [`int8 and brotli, ${of}`, bytes.denseInt8Brotli],
    ["packed, nothing compressed", bytes.raw],
    ["packed, gzip inside: the file", bytes.gzip],
    ["packed, brotli instead", bytes.brotli],
  ] as const;
  const sizes = formatTable(
    [
      { title: "stored as" },
      { title: "bytes", ...right },
      { title: "bits a weight", ...right },
      { title: "of f32", ...right },
    ],
    stored.map(([what, count]) => [
      what,
      formatBytes(count),
      ((8 * count) / weights).toFixed(2),
      formatFraction(count / bytes.denseF32),
    ]),
  );
  const products = document.layers.filter(({ kernel }) => kernel !== undefined);
  const others = document.layers.filter(({ kernel }) => kernel === undefined);
  const sum = (of: (layer: (typeof others)[number]) => number) => others.reduce((total, layer) => total + of(layer), 0);
  const rest = {
    ...{
      name: "all other operators",
      kernel: "",
      weights: sum((one) => one.weights),
      nonzeros: sum((one) => one.nonzeros),
    },
    ...{ denseMs: sum((one) => one.denseMs), expectedMs: sum((one) => one.expectedMs) },
  };
  const layers = formatTable(
    [
      { title: "layer" },
      { title: "kernel" },
      { title: "weights", ...right },
      { title: "kept", ...right },
      { title: "dense µs", ...right },
      { title: "packed µs", ...right },
    ],
    [...products, ...(others.length > 0 ? [rest] : []), { ...document, name: "in all", kernel: "" }].map((row) => [
      plainText(row.name),
      row.kernel ?? "",
      formatCount(row.weights),
      formatCount(row.nonzeros),
      (1000 * row.denseMs).toFixed(1),
      (1000 * row.expectedMs).toFixed(1),
    ]),
  );
  const measured = accuracy
    ? [
        `${mainMeasure(accuracy.before).name} on ${formatCount(accuracy.before.examples)} examples: ${accuracy.dense ? `${shown(accuracy.dense)} before pruning, ` : ""}` +
          `${shown(accuracy.before)} pruned, ${shown(accuracy.after)} packed (${values})\n`,
      ]
    : [];
  const expected =
    "Times are expected ones: one example, one thread, from a table of what kernels take. secateur bench measures.\n";
  return [...measured, sizes, layers, expected].join("\n");
}

function shown(evaluation: Evaluation): string {
  return formatMeasure(mainMeasure(evaluation));
}
