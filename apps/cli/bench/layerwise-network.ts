/**
 * `npm run bench:layerwise -- --network MODEL --calibration DATA [--test DATA]`: a whole network pruned layer by layer, from the dense weights
 * each time, by every --solver at every --sparsity (a number, or 2/4 for two of every four). Prints the first measure of the task on the test
 * data, the sum of the layers' relative errors, and processor seconds.
 */
import process from "node:process";
import {
  chooseTask,
  type Dataset,
  distillation,
  type Kernels,
  type Mask,
  parseTask,
  type RunContext,
  type Solver,
  type Task,
  teacherDataset,
} from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { activations } from "@secateur/fisher";
import {
  type AnyModel,
  batchNormOfModel,
  chosenDense,
  openAnyModel,
  openData,
  remeasuringModel,
  retrainerOf,
} from "@secateur/run/node";
import { type PruneLayersRequest, pruneLayers } from "@secateur/solvers-layerwise";
import { quietSession } from "./bench-network.ts";
import { decimals, digits, printLine, printTable, showProgress } from "./print.ts";

/** What to run; texts are those of the command line. */
export interface NetworkBenchmark {
  readonly network: string;
  readonly calibration: string;
  readonly test: string;
  readonly arch?: string | undefined;
  readonly normalize?: string | undefined;
  readonly task?: string | undefined;
  readonly keepDense: readonly string[];
  readonly examples?: number | undefined;
  readonly damping: number;
  readonly solvers: ReadonlyMap<string, Solver>;
  readonly cells: readonly string[];
  /** Passes of distillation from the dense network afterwards, and the first rate of Adam, which falls along a cosine. */
  readonly distill: { readonly epochs: number; readonly rate: number };
  /** What else the request says. */
  readonly request: Pick<PruneLayersRequest, "inputs" | "match" | "allocation" | "blocks">;
}

/** Runs every cell and prints the table. */
export async function benchmarkNetwork(spec: NetworkBenchmark, kernels: Kernels): Promise<void> {
  const session = quietSession(kernels, 0);
  const rows: (string | undefined)[][] = [];
  const first = await open(spec);
  const calibration = await dataOf(spec, spec.calibration, first);
  const { train } = calibration;
  const { test } = spec.test === spec.calibration ? calibration : await dataOf(spec, spec.test, first);
  const task = spec.task === undefined ? chooseTask({ model: first.network, data: test }) : parseTask(spec.task);
  const taught =
    spec.distill.epochs > 0
      ? await teacherDataset({ model: first.network, data: train }, session.context())
      : undefined;
  const measure = async ({ network }: AnyModel): Promise<number> =>
    (await network.evaluate(test, session.context(), { task })).measures[0]!.value;
  printLine(`dense ${digits(await measure(first))}`);
  for (const cell of spec.cells) {
    for (const [name, solver] of spec.solvers) {
      showProgress(`${name} at ${cell}`);
      const model = await open(spec);
      // The measure when all layers are pruned, and after every step that follows.
      const parts: string[] = [];
      const started = process.cpuUsage().user;
      const { before, settle, after } = remeasuringModel({
        ...{ model, data: { ...calibration, test }, session },
        settings: batchNormOfModel(model, {}),
      });
      await before();
      const pruned = await pruneLayers(
        {
          ...{ model: model.network, data: train, solver, curvature: activations({ damping: spec.damping }) },
          ...{ ...budgetOf(cell), ...spec.request, params: chosenDense(model, spec.keepDense).pruned },
          ...(spec.examples === undefined ? {} : { examples: spec.examples }),
          recalibrate: async (ctx) => {
            await settle?.(ctx);
            parts.push(digits(await measure(model))!);
          },
        },
        session.context(),
      );
      await after();
      if (taught)
        await distill(model, { ...spec.distill, data: taught.data, splits: calibration, ctx: session.context() });
      const seconds = (process.cpuUsage().user - started) / 1e6;
      const errors = pruned.layers.reduce((sum, { relativeError }) => sum + relativeError, 0);
      rows.push([
        ...[cell, name, pruned.allocation, parts.join(" "), digits(await measure(model)), decimals(errors, 3)],
        ...[
          decimals(seconds, 1),
          Object.values(pruned.heldOutError ?? {})
            .map(digits)
            .join(" "),
        ],
      ]);
      printLine(rows.at(-1)!.join("  "));
    }
  }
  printTable(
    ["sparsity", "solver", "allocation", "on the way", measureName(task), "errors", "CPU s", "held out"],
    rows,
  );
}

async function distill(
  { onnx, own, network }: AnyModel,
  call: NetworkBenchmark["distill"] & { data: Dataset; splits: DatasetSplits; ctx: RunContext },
): Promise<void> {
  const { data, epochs, rate, splits, ctx } = call;
  const settings = {
    optimizer: "adam",
    batchSize: 4,
    weightDecay: 0,
    labelSmoothing: 0,
    cropPadding: 0,
    flip: false,
  } as const;
  const retrainer = retrainerOf(onnx?.model ?? own!.network, { data, task: distillation(), settings, splits });
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

/** "0.6" or "2/4". */
function budgetOf(cell: string): Pick<PruneLayersRequest, "sparsity" | "pattern"> {
  const [keep, of] = cell.split("/").map(Number);
  return of === undefined ? { sparsity: keep! } : { sparsity: 0, pattern: { keep: keep!, of } };
}

function measureName({ measures }: Task): string {
  return measures[0]?.name ?? "loss";
}
