/**
 * `npm run bench:chita [-- DATA_FOLDER]`: CHITA beside the public code of its authors; chita-arguments.ts has the options.
 * Times are as measured; the calibration in the same process and the machine's load stand beside them.
 */
import { cpus } from "node:os";
import process from "node:process";
import { createWasmKernels } from "@secateur/backends-wasm";
import { isPruneError } from "@secateur/core";
import { type AccuracySpec, runOneShot, runStages } from "./accuracy.ts";
import { freshNetwork, networkPath, openMnist, quietSession } from "./bench-network.ts";
import { type Calibration, createCalibration } from "./calibrate.ts";
import { type ChitaArguments, chitaArguments, type SectionName } from "./chita-arguments.ts";
import { runInstances } from "./instances.ts";
import { runHuge, runMemory } from "./memory.ts";
import { runObjective } from "./objective.ts";
import { printLine } from "./print.ts";
import { runResnet20 } from "./resnet20.ts";

try {
  await run(chitaArguments(process.argv.slice(2)));
} catch (error) {
  if (!isPruneError(error)) throw error;
  process.stderr.write(`bench:chita: ${error.message}\n`);
  process.exitCode = error.fault === "input" ? 2 : 1;
}

async function run(args: ChitaArguments): Promise<void> {
  const { folder } = args;
  const model = networkPath(folder);
  const kernels = await createWasmKernels();
  const calibration = createCalibration();
  printLine(
    `Node ${process.versions.node}, ${kernels.name}, ${kernels.threads} threads, ${cpus().length} x ${cpus()[0]?.model}`,
  );
  printLine(`network: ${folder === undefined ? "the bundled one" : model}`);
  const data = await openMnist();
  const dense = await (await freshNetwork(model)).evaluate(data.test, quietSession(kernels, 0).context());
  printLine(`dense accuracy ${dense.accuracy.toFixed(2)} %`);
  const spec: AccuracySpec = { ...args, model, data, kernels, hasPublished: folder !== undefined };
  try {
    for (const section of args.sections) {
      printLine(`\n== ${section}`);
      await runSection(section, { args, spec, calibration });
      for (let sample = 0; sample < 5; sample++) calibration.sample();
      printLine(calibration.describe());
    }
  } finally {
    await kernels.close();
  }
}

async function runSection(
  section: SectionName,
  { args, spec, calibration }: { args: ChitaArguments; spec: AccuracySpec; calibration: Calibration },
): Promise<void> {
  const { folder, sparsities, weights } = args;
  const { kernels, model, data } = spec;
  const among = (...wanted: readonly number[]): readonly number[] => sparsities.filter((s) => wanted.includes(s));
  switch (section) {
    case "instances":
      if (folder === undefined) printLine("left out: the instances are in the data folder");
      else await runInstances({ folder, kernels, calibration });
      return;
    case "objective":
      await runObjective({ ...spec, train: data.train, calibration });
      return;
    case "accuracy":
      printLine(
        `one stage, everything else by default, seeds 0 to ${spec.seeds - 1}; accuracy on the test images, percent`,
      );
      await runOneShot(spec);
      return;
    case "stages":
      printLine("15 stages (rising + at the target), everything else by default");
      await runStages({ ...spec, sparsities: among(0.9, 0.95, 0.98), plan: { stages: 15 } });
      printLine("stages by default");
      await runStages({ ...spec, plan: {} });
      return;
    case "memory":
      await runMemory({ model, sparsities: among(0.5, 0.9, 0.98) });
      return;
    case "resnet20":
      if (folder === undefined) printLine("left out: network and images are in the data folder");
      else await runResnet20({ folder, kernels, sparsities: among(0.5, 0.6, 0.7, 0.8, 0.9) });
      return;
    case "huge":
      await runHuge({ weights, sparsities: among(0.9, 0.98) });
      return;
    default:
      return section satisfies never;
  }
}
