/** `secateur bench`: milliseconds of networks, dense and packed, and what kernels take on this machine. */
import { basename } from "node:path";
import { formatTable, plainText } from "@secateur/report/text";
import { badUsage, flagWithoutEffect } from "@secateur/run";
import { readInputChoices } from "@secateur/run/node/open/input-choices";
import { runCalibrate } from "@secateur/run/node/pack/costs-file";
import { type BenchDocument, runBench } from "@secateur/run/node/pack/run-bench";
import { type Command, Option } from "commander";
import { addArchFlags } from "../flags/arch-flags.ts";
import { addMessageFlags } from "../flags/common-flags.ts";
import { addInputFlags, type InputFlags } from "../flags/input-flags.ts";
import { wholeParser } from "../flags/number.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { printResult } from "../run/print-result.ts";
import { withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";

interface BenchFlags extends InputFlags {
  readonly arch?: string;
  readonly threads?: number;
  readonly browser?: boolean;
  readonly calibrate?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const examples = `
Examples:
  secateur bench net.secateur
  secateur bench net.secateur --browser
  secateur bench dense.safetensors pruned.safetensors --threads 2 --json
  secateur bench --calibrate --json > costs.json
Other work on the machine lengthens all times: compare those of one call.`;

/** Adds the command. */
export function addBenchCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("bench")
    .description(
      "Run networks for one example, as packed and with every weight taking part; medians of rounds in turn.",
    )
    .argument(
      "[model...]",
      "packed networks (.secateur), checkpoints of built-in networks, ONNX or TensorFlow.js models",
    );
  addInputFlags(command, { hasState: false });
  addArchFlags(command, terminal);
  command
    .addOption(
      new Option("--threads <n>", "threads of the runtime (default: 1)").argParser(wholeParser("--threads", 1, 64)),
    )
    .option(
      "--browser",
      "run in headless Chromium, with onnxruntime-web and TensorFlow.js's wasm backend where they are installed",
    )
    .option("--calibrate", "measure what kernels take on this machine, for pack --costs");
  addMessageFlags(command, { hasEvents: false });
  command.addHelpText("after", examples).action(async (models: readonly string[]) => {
    await callBench({ models, flags: command.opts<BenchFlags>(), terminal });
  });
}

async function callBench({
  models,
  flags,
  terminal,
}: {
  models: readonly string[];
  flags: BenchFlags;
  terminal: Terminal;
}): Promise<void> {
  const { arch, threads = 1 } = flags;
  const choices = readInputChoices(flags);
  if (flags.calibrate) {
    if (models.length > 0) throw badUsage("bench --calibrate measures the machine, not a model; leave the models out");
    const flag = flags.inputShape ? "--input-shape" : flags.fix ? "--fix" : undefined;
    if (flag) throw flagWithoutEffect({ flag, reason: "bench --calibrate measures the machine, not a model" });
    const document = await runCalibrate();
    const rows = Object.entries(document).map(([kernel, cost]) =>
      typeof cost === "number" ? [kernel, "", cost.toFixed(2)] : [kernel, cost.row.toFixed(2), cost.tap.toFixed(2)],
    );
    const right = { align: "right" } as const;
    const text = () =>
      formatTable([{ title: "kernel" }, { title: "ns a row", ...right }, { title: "ns a tap", ...right }], rows);
    printResult({ terminal, flags, document, text });
    return;
  }
  if (models.length === 0) throw badUsage("bench needs at least one model, or --calibrate");
  const quiet = { ...(flags.quiet ? { quiet: true } : {}), ...(flags.json ? { json: true } : {}) };
  const document = await withSession(
    { flags: { kernels: "reference", ...quiet }, terminal, overwrite: false },
    async (session) => {
      const results: BenchDocument[] = [];
      for (const model of models)
        results.push(
          ...(await runBench(
            {
              path: absolutePath(terminal, model),
              arch,
              choices,
              threads,
              cwd: terminal.cwd,
              isBrowser: flags.browser === true,
            },
            session,
          )),
        );
      return results;
    },
  );
  printResult({ terminal, flags, document, text: () => benchText(document) });
}

function benchText(results: readonly BenchDocument[]): string {
  const right = { align: "right" } as const;
  const table = formatTable(
    [
      { title: "model" },
      { title: "engine" },
      { title: "threads", ...right },
      { title: "ms", ...right },
      { title: "load ms", ...right },
      { title: "runs", ...right },
    ],
    results.map(({ model, engine, threads, medianMs, loadMs, runs, browser }) => [
      plainText(basename(model)),
      browser === undefined ? engine : `${engine}, ${browser}`,
      String(threads),
      medianMs.toFixed(4),
      loadMs.toFixed(1),
      String(runs),
    ]),
  );
  const notes = [...new Set(results.flatMap((result) => result.notes ?? []))].map((note) => `${note}\n`);
  return [table, ...notes].join("\n");
}
