/**
 * `npm run bench:layerwise -- DATA_FOLDER | --synthetic N | --network MODEL ...`: the layer-wise solvers on single layers, with --bound STEPS what no weights can go below, or on a network (layerwise-network.ts). --solver NAME or NAME:KEY=NUMBER,... chooses methods. DATA_FOLDER holds pairs NAME-H.npy
 * [in, in] and NAME-W.npy [out, in]; --synthetic makes a layer of N x N. Prints relative errors, and seconds of one thread.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { createWasmKernels } from "@secateur/backends-wasm";
import {
  createRng,
  createRunContext,
  type Kernels,
  keepCount,
  keepOfEvery,
  keptCount,
  type LayerInputsMode,
  type LayerTargets,
  type Mat,
  matrix,
  type Solver,
  weightUnits,
} from "@secateur/core";
import { gramCurvature } from "@secateur/core/linalg";
import { readNpyNumbers } from "@secateur/formats";
import { badUsage } from "@secateur/run";
import {
  alps,
  dsnot,
  type FittedOffsets,
  layerwise,
  obc,
  sparseGpt,
  sparseSwaps,
  wanda,
} from "@secateur/solvers-layerwise";
import { dataFolder } from "./bench-arguments.ts";
import { benchmarkNetwork, type NetworkBenchmark } from "./layerwise-network.ts";
import { decimals, printLine, printTable, showProgress } from "./print.ts";

const solvers: Readonly<Record<string, (options: Readonly<Record<string, number>>) => Solver>> = {
  wanda: () => wanda(),
  dsnot: () => dsnot(),
  sparseswaps: sparseSwaps,
  sparsegpt: sparseGpt,
  obc,
  alps,
  layerwise,
};
/** Options of solvers that are numbers. */
const optionsOf: Readonly<Record<string, readonly string[]>> = {
  sparseswaps: ["mostWork"],
  sparsegpt: ["blockSize", "damping"],
  obc: ["mostWork"],
  alps: ["damping", "rho", "iterations"],
  layerwise: ["damping", "rho", "iterations", "exchanges", "mostWork", "boundSteps"],
};
const sparsities = [0.5, 0.6, 0.7, 0.8, 0.9, undefined] as const;

/** One layer. */
interface Layer {
  readonly name: string;
  readonly H: Mat;
  readonly W: Mat;
  /** Of the inputs, where they are known. */
  readonly means?: Float64Array;
}

const { values, positionals } = parseArgs({
  options: {
    ...{ synthetic: { type: "string" }, solver: { type: "string", multiple: true } },
    ...{ network: { type: "string" }, calibration: { type: "string" }, test: { type: "string" } },
    ...{ arch: { type: "string" }, normalize: { type: "string" }, task: { type: "string" } },
    ...{ "keep-dense": { type: "string", default: "" }, examples: { type: "string" } },
    ...{
      repeats: { type: "string", default: "1" },
      bound: { type: "string", default: "0" },
      lines: { type: "string" },
      dictionary: { type: "string" },
    },
    ...{ damping: { type: "string" }, sparsity: { type: "string", multiple: true } },
    ...{
      inputs: { type: "string" },
      match: { type: "string", default: "dense" },
      blocks: { type: "string" },
      rate: { type: "string" },
      allocation: { type: "string" },
      offsets: { type: "string" },
      "reestimate-batch-norm": { type: "string" },
      held: { type: "string", default: "0" },
      generations: { type: "string" },
      ...{ distill: { type: "string", default: "0" }, "distill-rate": { type: "string", default: "0.002" } },
    },
  },
  allowPositionals: true,
});
const repeats = Math.max(1, Number(values.repeats));
const size = Number(values.synthetic);
const isPlain = values.network === undefined;
if (isPlain && positionals.length === 0 && !(size >= 4)) throw badUsage("give DATA_FOLDER, or --synthetic N");
// From H alone nothing is known of the means that dsnot looks at.
const knowsMeans = !isPlain || positionals[0] === undefined;
const chosen = values.solver ?? Object.keys(solvers).filter((name) => knowsMeans || name !== "dsnot");
const kernels = await createWasmKernels({ threads: 1 });
if (!isPlain) await benchmarkNetwork(networkBenchmark(), kernels);
else if (positionals[0] === undefined) await benchmark(synthetic(size), [0.5]);
else for await (const layer of layersIn(dataFolder(positionals[0], []))) await benchmark(layer, sparsities);
await kernels.close();

function networkBenchmark(): NetworkBenchmark {
  const { network, calibration, test = calibration, damping, examples, inputs, match, allocation } = values;
  const { lines, dictionary } = values;
  if (network === undefined || (calibration === undefined && (lines === undefined || dictionary === undefined)))
    throw badUsage("--network takes --calibration DATA, or --lines FOLDER --dictionary FILE");
  return {
    data:
      calibration === undefined
        ? { lines: dataFolder(lines!, []), dictionary: dictionary! }
        : { calibration, test: test! },
    ...{ network, arch: values.arch, normalize: values.normalize, task: values.task },
    keepDense: values["keep-dense"].split(",").filter((word) => word !== ""),
    damping: damping === undefined ? undefined : Number(damping),
    heldOut: Number(values.held),
    isNormMeasured: values["reestimate-batch-norm"] !== "never",
    ...(examples === undefined ? {} : { examples: Number(examples) }),
    solvers: new Map(chosen.map((name) => [name, solverOf(name)])),
    cells: values.sparsity ?? ["0.5", "0.6", "0.7", "0.8", "2/4"],
    distill: { epochs: Number(values.distill), rate: Number(values["distill-rate"]) },
    request: {
      ...(inputs === undefined ? {} : { inputs: inputs as LayerInputsMode }),
      match: match as LayerTargets,
      ...(values.blocks === undefined
        ? {}
        : {
            blocks: {
              epochs: Number(values.blocks),
              ...(values.rate === undefined ? {} : { rate: Number(values.rate) }),
            },
          }),
      ...(allocation === undefined
        ? {}
        : { allocation: allocation as NonNullable<NetworkBenchmark["request"]["allocation"]> }),
      ...(values.generations === undefined ? {} : { evolution: { generations: Number(values.generations) } }),
      ...(values.offsets === undefined ? {} : { offsets: values.offsets as FittedOffsets }),
    },
  };
}

/** A solver as --solver has it: a name, or NAME:KEY=NUMBER,... for one with options. @throws ERR_USAGE */
function solverOf(text: string): Solver {
  const [name = "", options = ""] = text.split(":");
  const make = solvers[name];
  if (!make) throw badUsage(`--solver ${text}: give one of ${Object.keys(solvers).join(", ")}`);
  const given: Record<string, number> = {};
  for (const pair of options.split(",").filter((one) => one !== "")) {
    const [key = "", value = ""] = pair.split("=");
    const known = optionsOf[name] ?? [];
    if (!known.includes(key) || value === "" || !Number.isFinite(Number(value)))
      throw badUsage(`--solver ${text}: '${pair}'; give KEY=NUMBER with one of ${known.join(", ") || "no options"}`);
    given[key] = Number(value);
  }
  return make(given);
}

/** Every method at every sparsity; undefined stands for 2 of every 4. */
async function benchmark(layer: Layer, cells: readonly (number | undefined)[]): Promise<void> {
  printLine(`\n${layer.name}: ${layer.W.rows} x ${layer.W.cols}`);
  const rows: string[][] = [];
  for (const name of chosen) {
    const row = [name];
    let seconds = 0;
    for (const sparsity of cells) {
      showProgress(`${layer.name}, ${name} at ${sparsity ?? "2 of 4"}`);
      const solver = solverOf(name);
      const runs = [];
      for (let run = 0; run < repeats; run++) runs.push(await solve(layer, { solver, sparsity, kernels }));
      const found = runs[0]!;
      // The first run of a method compiles it: with --repeats the quickest of each cell counts.
      seconds += Math.min(...runs.map((run) => run.seconds)) / cells.length;
      row.push(decimals(found.relativeError, 5)!);
    }
    rows.push([...row, decimals(seconds, 3)!]);
  }
  const boundSteps = Number(values.bound);
  if (boundSteps > 0) {
    const row = ["lower bound"];
    // Without work for swaps the solver is as quick as its start.
    const solver = layerwise({ boundSteps, mostWork: 0 });
    for (const sparsity of cells) {
      row.push(decimals((await solve(layer, { solver, sparsity, kernels })).relativeBound, 5) ?? "none");
    }
    rows.push(row);
  }
  printTable(["relative error", ...cells.map((cell) => (cell === undefined ? "2 of 4" : `${cell}`)), "CPU s"], rows);
  printLine(`peak memory ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`);
}

async function solve(
  { name, H, W, means }: Layer,
  spec: { solver: Solver; sparsity: number | undefined; kernels: Kernels },
): Promise<{ relativeError: number; relativeBound: number | undefined; seconds: number }> {
  const { solver, sparsity } = spec;
  const count = W.rows * W.cols;
  const constraint =
    sparsity === undefined
      ? keepOfEvery({ count, cols: W.cols, keep: 2, of: 4 })
      : keepCount({ count, keep: keptCount(count, sparsity), kernels });
  const curvature = gramCurvature(H, { kernels, ...(means ? { means } : {}) });
  const started = process.cpuUsage().user;
  const problem = { id: name, w: W, units: weightUnits(count), constraint, curvature };
  const { w, stats } = await solver.solve(problem, createRunContext({ kernels }));
  const seconds = (process.cpuUsage().user - started) / 1e6;
  const relativeBound = stats["relativeLowerBound"];
  return { relativeError: stats["relativeError"] ?? relativeError(H, W, w), relativeBound, seconds };
}

function relativeError(H: Mat, W: Mat, R: Mat): number {
  const energy = (of: (i: number) => number): number => {
    const D = matrix(
      W.rows,
      W.cols,
      Float64Array.from(W.data, (_, i) => of(i)),
    );
    const image = matrix(W.rows, W.cols, new Float64Array(D.data.length));
    kernels.gemm({ a: D, b: H, out: image });
    return kernels.dot(D.data, image.data);
  };
  return energy((i) => R.data[i]! - W.data[i]!) / energy((i) => W.data[i]!);
}

async function* layersIn(folder: string): AsyncGenerator<Layer> {
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith("-H.npy"))
    .sort()) {
    const name = file.slice(0, -"-H.npy".length);
    const [H, W] = [await readNpyNumbers(join(folder, file)), await readNpyNumbers(join(folder, `${name}-W.npy`))];
    yield {
      name,
      H: matrix(H.shape[0]!, H.shape[1]!, Float64Array.from(H.data, Number)),
      W: matrix(W.shape[0]!, W.shape[1]!, Float32Array.from(W.data, Number)),
    };
  }
}

/** Inputs whose neighbours are alike, and normal weights. */
function synthetic(n: number): Layer {
  const rng = createRng("layer");
  const X = matrix(2 * n, n, new Float32Array(2 * n * n));
  for (let i = 0; i < 2 * n; i++) {
    let carried = rng.normal();
    for (let j = 0; j < n; j++) {
      carried = 0.8 * carried + 0.6 * rng.normal();
      X.data[i * n + j] = carried;
    }
  }
  const means = new Float64Array(n);
  kernels.columnSums(X, means);
  const gram = matrix(n, n, new Float32Array(n * n));
  kernels.gram({ a: X, transpose: true, out: gram, alpha: 1 / (2 * n) });
  const W = matrix(
    n,
    n,
    Float32Array.from({ length: n * n }, () => rng.normal()),
  );
  return {
    name: "synthetic",
    H: matrix(n, n, Float64Array.from(gram.data)),
    W,
    means: means.map((sum) => sum / (2 * n)),
  };
}
