/**
 * `npm run bench:layerwise -- --network MODEL --calibration DATA [--test DATA]`: a whole network pruned layer by layer, from the dense weights
 * each time, by every --solver at every --sparsity (a number, or 2/4 for two of every four). Prints the first measure of the task on the test
 * data, the sum of the layers' relative errors, processor seconds without those of measuring, and the most memory the process has had by then. With `--lines FOLDER
 * --dictionary FILE` in place of the data a recogniser of lines of text is measured by its character accuracy (text-lines.ts).
 */
import process from "node:process";
import {
  batches,
  chooseTask,
  type Dataset,
  distillation,
  type Kernels,
  type LayerCurvature,
  type LayerCurvatureEstimator,
  type Mask,
  parseTask,
  type RunContext,
  type Solver,
  subset,
  teacherDataset,
} from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { activations } from "@secateur/fisher";
import {
  type AnyModel,
  batchNormOfModel,
  chosenDense,
  graphTraining,
  openAnyModel,
  openData,
  remeasuringModel,
  retrainerOf,
} from "@secateur/run/node";
import { type PruneLayersRequest, pruneLayers } from "@secateur/solvers-layerwise";
import { quietSession } from "./bench-network.ts";
import { decimals, digits, printLine, printTable, showProgress } from "./print.ts";
import { characterAccuracy, readDictionary, readLines } from "./text-lines.ts";

/** What to run; texts are those of the command line. */
export interface NetworkBenchmark {
  readonly network: string;
  readonly data:
    | { readonly calibration: string; readonly test: string }
    | { readonly lines: string; readonly dictionary: string };
  readonly arch?: string | undefined;
  readonly normalize?: string | undefined;
  readonly task?: string | undefined;
  readonly keepDense: readonly string[];
  readonly examples?: number | undefined;
  readonly damping: number | undefined;
  /** Whether statistics of batch normalisation are measured anew after pruning. */
  readonly isNormMeasured: boolean;
  /** Last training examples whose outputs are compared with the dense ones, in the place of what allocation "auto" compares; default: none. */
  readonly heldOut: number;
  readonly solvers: ReadonlyMap<string, Solver>;
  readonly cells: readonly string[];
  /** Passes of distillation from the dense network afterwards, and the first rate of Adam, which falls along a cosine. */
  readonly distill: { readonly epochs: number; readonly rate: number };
  /** What else the request says. */
  readonly request: Pick<PruneLayersRequest, "inputs" | "match" | "allocation" | "blocks" | "offsets" | "evolution">;
}

/** Runs every cell and prints the table. */
export async function benchmarkNetwork(spec: NetworkBenchmark, kernels: Kernels): Promise<void> {
  const session = quietSession(kernels, 0);
  const rows: (string | undefined)[][] = [];
  const first = await open(spec);
  const { calibration, test, measure, measureName } = await measured(spec, first, session.context);
  const { train: whole } = calibration;
  // The last training examples judge what is chosen; no layer is solved on them.
  const heldOut = Math.min(spec.heldOut, whole.size - 1);
  const [train, held] = [
    heldOut > 0 ? subset(whole, placesBetween(0, whole.size - heldOut)) : whole,
    placesBetween(whole.size - heldOut, whole.size),
  ];
  const curvature = spec.request.inputs === "parallel" ? takenOnce(spec) : activations(dampingOf(spec));
  const taught =
    spec.distill.epochs > 0
      ? await teacherDataset({ model: first.network, data: train }, session.context())
      : undefined;
  printLine(`dense ${digits(await measure(first))}`);
  for (const cell of spec.cells) {
    for (const [name, solver] of spec.solvers) {
      showProgress(`${name} at ${cell}`);
      const model = await open(spec);
      // The measure when all layers are pruned, and after every step but the last; none where nothing follows.
      const parts: string[] = [];
      let measuring = 0;
      const started = process.cpuUsage().user;
      const { before, recalibrate, after } = remeasuringModel({
        ...{ model, data: { ...calibration, test }, session },
        settings: batchNormOfModel(model, spec.isNormMeasured ? {} : { when: "never" }),
      });
      await before();
      const dense = heldOut > 0 ? await outputsOn(model, { data: whole, held }, session.context()) : undefined;
      const pruned = await pruneLayers(
        {
          ...{ model: model.network, data: train, solver, curvature },
          offsets: recalibrate ? "all" : "biases",
          ...{ ...budgetOf(cell), ...requestFor(cell, spec), params: chosenDense(model, spec.keepDense).pruned },
          openDense: async () => (await open(spec)).network,
          ...(spec.examples === undefined ? {} : { examples: spec.examples }),
          recalibrate: async (ctx) => {
            await recalibrate?.(ctx);
            if (!recalibrate && !spec.request.blocks && !taught) return;
            const paused = process.cpuUsage().user;
            parts.push(digits(await measure(model))!);
            measuring += process.cpuUsage().user - paused;
          },
        },
        session.context(),
      );
      await after();
      if (taught)
        await distill(model, { ...spec.distill, data: taught.data, splits: calibration, ctx: session.context() });
      const seconds = (process.cpuUsage().user - started - measuring) / 1e6;
      const errors = pruned.layers.reduce((sum, { relativeError }) => sum + relativeError, 0);
      rows.push([
        ...[cell, name, pruned.allocation, parts.join(" "), digits(await measure(model)), decimals(errors, 3)],
        ...[
          decimals(seconds, 1),
          `${Math.round(process.resourceUsage().maxRSS / 1024)}`,
          dense
            ? digits(changeOf(dense, await outputsOn(model, { data: whole, held }, session.context())))
            : Object.values(pruned.heldOutError ?? {})
                .map(digits)
                .join(" "),
        ],
      ]);
      printLine(rows.at(-1)!.join("  "));
    }
  }
  printTable(
    ["sparsity", "solver", "allocation", "on the way", measureName, "errors", "CPU s", "MiB", "held out"],
    rows,
  );
}

/** The data of a benchmark, and what a model is judged by. */
interface Measured {
  readonly calibration: DatasetSplits;
  readonly test: Dataset;
  readonly measureName: string;
  measure(model: AnyModel): Promise<number>;
}

async function measured(spec: NetworkBenchmark, model: AnyModel, context: () => RunContext): Promise<Measured> {
  const { data, task: asked } = spec;
  if ("lines" in data) {
    const input = model.network.inputs![0]!.name;
    const [known, lines] = [
      await readLines(data.lines, { part: "calibration", input }),
      await readLines(data.lines, { part: "test", input }),
    ];
    const dictionary = readDictionary(data.dictionary);
    const normalisation = { divisor: 255, mean: [0.5], std: [0.5] };
    return {
      calibration: { name: known.data.name, train: known.data, test: lines.data, normalisation },
      test: lines.data,
      measureName: "characters",
      measure: ({ network }) => characterAccuracy({ model: network, lines, dictionary }, context()),
    };
  }
  const calibration = await dataOf(spec, data.calibration, model);
  const { test } = data.test === data.calibration ? calibration : await dataOf(spec, data.test, model);
  const task = asked === undefined ? chooseTask({ model: model.network, data: test }) : parseTask(asked);
  return {
    ...{ calibration, test, measureName: task.measures[0]?.name ?? "loss" },
    measure: async ({ network }) => (await network.evaluate(test, context(), { task })).measures[0]!.value,
  };
}

function placesBetween(from: number, to: number): Uint32Array {
  return Uint32Array.from({ length: to - from }, (_, i) => from + i);
}

async function outputsOn(
  { network }: AnyModel,
  { data, held }: { data: Dataset; held: Uint32Array },
  ctx: RunContext,
): Promise<readonly number[]> {
  const all: number[] = [];
  for await (const batch of batches(subset(data, held), 64)) {
    for (const output of Object.values(await network.run!(batch, ctx)))
      for (const value of output.data) all.push(value);
  }
  return all;
}

/** Squared change as a fraction of the sum of squares. */
function changeOf(dense: readonly number[], now: readonly number[]): number {
  let [change, energy] = [0, 0];
  dense.forEach((value, i) => {
    change += (now[i]! - value) ** 2;
    energy += value ** 2;
  });
  return change / energy;
}

function dampingOf({ damping }: NetworkBenchmark): { readonly damping?: number } {
  return damping === undefined ? {} : { damping };
}

/** With inputs of the dense model every cell sees the same: its H are made once. */
function takenOnce(spec: NetworkBenchmark): LayerCurvatureEstimator {
  const estimator = activations(dampingOf(spec));
  const known = new Map<string, LayerCurvature[]>();
  return {
    name: estimator.name,
    async *estimate(request, ctx) {
      const key = request.examples.join();
      let layers = known.get(key);
      if (!layers) {
        layers = [];
        for await (const layer of estimator.estimate(request, ctx)) layers.push(layer);
        known.set(key, layers);
      }
      yield* layers;
    },
  };
}

async function distill(
  { onnx, own, network }: AnyModel,
  call: NetworkBenchmark["distill"] & { data: Dataset; splits: DatasetSplits; ctx: RunContext },
): Promise<void> {
  const { data, epochs, rate, splits, ctx } = call;
  const retrainer = retrainerOf(onnx?.model ?? own!.network, {
    data,
    task: distillation(),
    settings: graphTraining,
    splits,
  });
  const steps = epochs * retrainer.stepsPerEpoch;
  const masks = new Map<string, Mask>();
  for (const { name } of network.params()) {
    const { data: w } = await network.read(name);
    masks.set(
      name,
      Uint8Array.from(w, (value) => (value === 0 ? 0 : 1)),
    );
  }
  const learningRate = (step: number): number => 0.5 * rate * (1 + Math.cos((Math.PI * step) / steps));
  await retrainer.retrain({ epochs, learningRate, masks }, ctx);
}

async function open({ network: path, arch }: NetworkBenchmark): Promise<AnyModel> {
  return await openAnyModel({ path, arch, engine: undefined, cwd: process.cwd(), onEvent: () => {} });
}

async function dataOf(spec: NetworkBenchmark, data: string, model: AnyModel): Promise<DatasetSplits> {
  const { normalize, task } = spec;
  const { classes, spec: network } = model;
  const posed = task === undefined ? {} : { task: parseTask(task) };
  return await openData({ data, normalize, ...posed, classes, network, onEvent: () => {} });
}

/** What else is asked for: a pattern leaves nothing for an allocation to share. */
function requestFor(cell: string, { request }: NetworkBenchmark): NetworkBenchmark["request"] {
  const { allocation: _none, ...others } = request;
  return cell.includes("/") ? others : request;
}

/** "0.6" or "2/4". */
function budgetOf(cell: string): Pick<PruneLayersRequest, "sparsity" | "pattern"> {
  const [keep, of] = cell.split("/").map(Number);
  return of === undefined ? { sparsity: keep! } : { sparsity: 0, pattern: { keep: keep!, of } };
}
