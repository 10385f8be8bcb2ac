/**
 * Speed of the two steps of a one-shot run on the bundled MLPNet, n = 1000: `node apps/cli/bench/pipeline.bench.ts`.
 * Each row is the best of several runs: milliseconds, and their ratio to a calibration loop's around them.
 */
import { createWasmKernels } from "@secateur/backends-wasm";
import { createRunContext, layoutParams, sampleIndices } from "@secateur/core";
import { chita } from "@secateur/solvers-chita";
import { freshNetwork, networkPath, openMnist } from "./bench-network.ts";
import { createCalibration } from "./calibrate.ts";
import { oneShotProblem, rowCount, takeRows } from "./one-shot-problem.ts";
import { decimals, digits, percent, printLine, printTable } from "./print.ts";
import { bestOf } from "./timing.ts";

const calibration = createCalibration();
const model = networkPath(undefined);
const { train } = await openMnist();
const network = await freshNetwork(model);
const params = layoutParams(network).map((param) => param.name);
const table: (string | undefined)[][] = [];

for (const threads of [1, 2]) {
  const kernels = await createWasmKernels({ threads });
  const add = (what: string, ms: number, target: string, found?: string): void => {
    table.push([what, `${threads}`, decimals(ms, 1), decimals(ms / calibration.ms, 2), target, found]);
  };
  const ctx = createRunContext({ kernels });
  const examples = sampleIndices(train.size, rowCount, ctx.rng);
  const gradients = await bestOf(10, calibration, async () => {
    const { blocks } = await network.gradientRows!({ params, data: train, examples, batch: 1 }, ctx);
    for (const block of blocks) {
      if (block.kind === "factored") for (const { data } of [block.delta, block.input]) kernels.free(data);
    }
  });
  add("per-example gradients", gradients.ms, "30");
  const rows = await takeRows({ model, train, seed: 0, kernels });
  for (const sparsity of [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98]) {
    const problem = oneShotProblem(rows, sparsity, kernels);
    const { value, ms } = await bestOf(3, calibration, () => chita().solve(problem, createRunContext({ kernels })));
    const found = `n Q ${digits(rowCount * value.objective)}, gap ${percent(value.stats["gap"], 3) ?? "unknown"}`;
    add(`chita ${sparsity}`, ms, sparsity === 0.9 ? "500" : "", found);
  }
  await kernels.close();
}
printTable(["case", "threads", "ms", "ratio", "target ms", "result"], table);
printLine(calibration.describe());
