/**
 * `npm run bench:imp [-- DATA_FOLDER]`: schedules of retraining beside each other, and solvers under the best of them;
 * imp-arguments.ts has the options. Accuracies are of the test split and choose nothing.
 */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import process from "node:process";
import { createWasmKernels, type WasmKernels } from "@secateur/backends-wasm";
import { isPruneError } from "@secateur/core";
import { openMnist } from "./bench-network.ts";
import { type ImpArguments, impArguments, type SectionName } from "./imp-arguments.ts";

import { runPhases } from "./imp-phases.ts";
import { runResnet } from "./imp-resnet.ts";
import { runSchedules } from "./imp-schedules.ts";
import { runSteps } from "./imp-steps.ts";
import { printLine } from "./print.ts";

try {
  await run(impArguments(process.argv.slice(2)));
} catch (error) {
  if (!isPruneError(error)) throw error;
  process.stderr.write(`bench:imp: ${error.message}\n`);
  process.exitCode = error.fault === "input" ? 2 : 1;
}

async function run(args: ImpArguments): Promise<void> {
  const kernels = await createWasmKernels(args.threads === undefined ? {} : { threads: args.threads });
  printLine(
    `Node ${process.versions.node}, ${kernels.name}, ${kernels.threads} threads, ${cpus().length} x ${cpus()[0]?.model}`,
  );
  try {
    for (const section of args.sections) {
      printLine(`\n== ${section}`);
      await runSection(section, args, kernels);
    }
  } finally {
    await kernels.close();
  }
}

async function runSection(section: SectionName, args: ImpArguments, kernels: WasmKernels): Promise<void> {
  switch (section) {
    case "schedules": {
      const plot = await runSchedules({ ...args, kernels, data: await openMnist() });
      if (args.plot === undefined) return;
      writeFileSync(args.plot, plot);
      printLine(`wrote ${args.plot}`);
      return;
    }
    case "phases":
      return await runPhases({ ...args, kernels, data: await openMnist() });
    case "steps":
      return await runSteps(kernels);
    case "resnet":
      if (args.folder === undefined) return printLine("left out: the network is in the data folder");
      return await runResnet({ ...args, folder: args.folder, kernels });
    default:
      return section satisfies never;
  }
}
