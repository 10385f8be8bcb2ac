/**
 * Convolutions and ResNet20: `npm run bench -- conv`. GFLOPS of every layer shape beside the matrix product of the same sizes, measured in
 * the same run; then images a second and peak memory, each in a process of its own.
 */
import { fileURLToPath } from "node:url";
import { createWasmKernels } from "@secateur/backends-wasm";
import { createCalibration } from "./calibrate.ts";
import { printLayers } from "./conv-layers.ts";
import { type ConvTimes, type ConvWork, works } from "./conv-work.ts";
import { nodeRun } from "./memory.ts";
import { decimals, printLine, printTable, showProgress } from "./print.ts";

const calibration = createCalibration();
for (const threads of [1, 2]) {
  const kernels = await createWasmKernels({ threads });
  printLine(`GFLOPS, ${kernels.name}, ${threads} threads, 64 images a call, gradients in rows of 16 images`);
  await printLayers(kernels, calibration);
  await kernels.close();
  printLine(calibration.describe());
  printLine();
}

/** Enough that starting costs nothing; 500 rows of 16 are what papers compute. */
const images: Readonly<Record<ConvWork, number>> = {
  forward: 4000,
  "forward + backward": 2000,
  "rows of 16": 8000,
  training: 2000,
};
const rows: (string | undefined)[][] = [];
for (const work of works) {
  for (const threads of [1, 2]) {
    showProgress(`${work}, ${threads} threads`);
    const path = fileURLToPath(new URL("./conv-work.ts", import.meta.url));
    const { output, peak } = await nodeRun([path, work, `${threads}`, `${images[work]}`]);
    const { seconds, cpuSeconds } = JSON.parse(output) as ConvTimes;
    rows.push([
      work,
      `${threads}`,
      `${images[work]}`,
      decimals(seconds, 1),
      decimals(images[work] / seconds, 0),
      decimals(cpuSeconds, 1),
      decimals(images[work] / cpuSeconds, 0),
      decimals(peak / 1e6, 0),
    ]);
  }
}
printLine("ResNet20 on images of 32 x 32; a row of 16 images is the mean of their gradients");
printTable(["work", "threads", "images", "seconds", "images/s", "cpu s", "images/cpu s", "peak MB"], rows);
