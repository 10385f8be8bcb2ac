/** A TensorFlow.js model as core's Model: evaluated, differentiated and pruned where it is, without conversion. */
import {
  type Dataset,
  type Evaluation,
  type GradientRequest,
  type GradientRows,
  inputName,
  type Linearization,
  type Mat,
  type MeanGradient,
  type Model,
  matrix,
  type ParamInfo,
  type RunContext,
  shapeMismatch,
  type Task,
  type TensorSpec,
  unknownName,
} from "@secateur/core";
import { type Canonical, canonicalOf, fromCanonical, toCanonical } from "./canonical.ts";
import { taskNotOffered } from "./errors.ts";
import type { GraphTopology } from "./files/graph-weights.ts";
import { createGradientKernels } from "./gradients/gradient-kernels.ts";
import { gradientRows, meanGradient } from "./gradients/gradients.ts";
import { linearize } from "./gradients/linearize.ts";
import { type LossName, lossOf } from "./gradients/loss.ts";
import { type ModelRun, modelRun } from "./model-run.ts";
import { graphRunnable, isLayersModel, layersRunnable, type Runnable } from "./runnable.ts";
import type { GraphModel, LayersModel, Tf } from "./tf.ts";
import type { PrunableOptions } from "./weights.ts";

/** A model to adapt, and how. */
export interface TfjsModelOptions extends PrunableOptions {
  /** TensorFlow.js, with the engine to run on chosen and ready. */
  readonly tf: Tf;
  readonly model: LayersModel | GraphModel;
  /** For messages; default: the model's own name. */
  readonly name?: string;
  /** Default: what the model was compiled with; else binary cross-entropy for a single output, cross-entropy for several. */
  readonly loss?: LossName;
  /** The graph of a GraphModel as model.json keeps it; default: what the model was loaded from. */
  readonly topology?: GraphTopology;
  /** What storing a weight makes of its numbers (stored layout), as quantisation does; default: nothing. */
  readonly settle?: (name: string, values: Float32Array) => Float32Array;
}

/** A weight that stays dense, and why. */
export interface KeptDense {
  readonly weight: string;
  readonly reason: string;
}

/** A TensorFlow.js model under pruning. */
export interface TfjsModel extends Model {
  readonly kind: "layers" | "graph";
  /** The TensorFlow.js engine it runs on: "wasm", "cpu", "tensorflow", ... */
  readonly engine: string;
  readonly loss: LossName;
  /** Undefined where the model does not say before it runs. */
  readonly classes: number | undefined;
  /** Tensors of two or more dimensions that pruning leaves alone. */
  readonly keptDense: readonly KeptDense[];
  /** Names of the parameters written since it was opened. */
  readonly written: ReadonlySet<string>;
  /** A parameter's numbers as the model stores them. @throws ERR_UNKNOWN_NAME */
  stored(name: string): Promise<Float32Array>;
  gradientRows(request: GradientRequest, ctx: RunContext): Promise<GradientRows>;
  meanGradient(request: Omit<GradientRequest, "batch">, ctx: RunContext): Promise<MeanGradient>;
  /** Present for models whose prunable weights are all dense layers over one vector an example. */
  linearize?(request: Omit<GradientRequest, "batch" | "task">, ctx: RunContext): Promise<Linearization>;
  evaluate(data: Dataset, ctx: RunContext, options?: { readonly task?: Task }): Promise<Evaluation>;
  /** Disposes of the model and all its tensors. */
  dispose(): void;
}

/**
 * Adapts a model. It is changed in place when it is pruned, and goes on working; save it as ever, or see `savedArtifacts`.
 *
 * @throws ERR_TFJS_MODEL for several inputs or outputs, or an output that is not [examples, classes]
 * @example
 * const model = await tfjsModel({ tf, model: await tf.loadLayersModel(url) });
 * await prune({ model, solver: magnitude(), sparsity: 0.8 });
 */
export async function tfjsModel(options: TfjsModelOptions): Promise<TfjsModel> {
  const { tf, model } = options;
  const name = options.name ?? (isLayersModel(model) ? model.name : "graph-model");
  const runnable = runnableOf({ ...options, name });
  const run = modelRun({ tf, name, runnable, loss: chosenLoss(runnable, options.loss) });
  const params = new Map(run.runnable.weights.map((weight) => [weight.name, { weight, canonical: layoutOf(weight) }]));
  const find = (wanted: string) => {
    const found = params.get(wanted);
    if (!found) throw unknownName({ where: name, what: "parameter", found: wanted, known: [...params.keys()] });
    return found;
  };
  const facts = run.probe();
  const written = new Set<string>();
  const state = { run, find, gradientKernels: createGradientKernels() };
  return {
    name,
    kind: runnable.kind,
    engine: tf.getBackend(),
    loss: run.loss.name,
    classes: runnable.classes,
    keptDense: keptDense(runnable),
    written,
    inputs: [inputSpec(runnable)],
    outputs: [outputSpec(runnable)],
    params: () => [...params.values()].map(({ weight, canonical }) => paramInfo(run, weight, canonical)),
    async read(wanted) {
      const { weight, canonical } = find(wanted);
      const values = (await weight.tensor().data()) as Float32Array;
      return matrix(canonical.rows, canonical.cols, toCanonical(values, canonical));
    },
    async stored(wanted) {
      return Float32Array.from(await find(wanted).weight.tensor().data());
    },
    async write(wanted, w) {
      const { weight, canonical } = find(wanted);
      assertSize(`${name}: parameter '${wanted}'`, w, canonical);
      const values = fromCanonical(w.data, canonical);
      weight.replace(options.settle?.(wanted, values) ?? values);
      written.add(wanted);
    },
    gradientRows: async (request, ctx) => {
      assertTask(name, request.task);
      return await gradientRows(state, request, ctx);
    },
    meanGradient: async (request, ctx) => {
      assertTask(name, request.task);
      return await meanGradient(state, request, ctx);
    },
    ...(facts?.isDenseChain ? { linearize: (request, ctx) => linearize(state, request, ctx) } : {}),
    evaluate: async (data, ctx, { task } = {}) => {
      assertTask(name, task);
      return await run.evaluate(data, ctx);
    },
    dispose: () => runnable.dispose(),
  };
}

/** One class an example, by the loss the model was compiled with, is all that is measured here so far. */
function assertTask(model: string, task: Task | undefined): void {
  if (task && task.name !== "classification") throw taskNotOffered(model, task.name);
}

function inputSpec({ input }: Runnable): TensorSpec {
  const shape = input.shape.map((extent) => (extent < 0 ? null : extent));
  return { name: inputName, shape, dtype: input.dtype === "int32" ? "i32" : "f32" };
}

function outputSpec({ classes }: Runnable): TensorSpec {
  return {
    name: "output",
    shape: [classes ?? null],
    dtype: "f32",
    ...(classes !== undefined && classes > 1 ? { classes } : {}),
  };
}

function runnableOf(options: TfjsModelOptions & { name: string }): Runnable {
  const { tf, model, name } = options;
  if (isLayersModel(model)) return layersRunnable(tf, { name, model, options });
  const artifacts = Reflect.get(model, "artifacts") as { modelTopology?: GraphTopology } | undefined;
  return graphRunnable(tf, { name, model, topology: options.topology ?? artifacts?.modelTopology ?? {} });
}

function chosenLoss(runnable: Runnable, asked: LossName | undefined): ReturnType<typeof lossOf> {
  const { compiled, classes } = runnable;
  const name = asked ?? compiled?.name ?? (classes === 1 ? "binary-cross-entropy" : "cross-entropy");
  return lossOf(name, compiled?.loss);
}

function layoutOf({ role, shape }: Runnable["weights"][number]): Canonical {
  if (role) return canonicalOf(role, shape);
  const size = shape.reduce((product, extent) => product * extent, 1);
  const rows = shape[0] ?? 1;
  return { rows, cols: rows === 0 ? 0 : size / rows, order: Uint32Array.from({ length: size }, (_, i) => i) };
}

function paramInfo(run: ModelRun, weight: Runnable["weights"][number], { rows, cols }: Canonical): ParamInfo {
  const { name, shape, role } = weight;
  const uses = run.positions(name);
  return { name, shape, rows, cols, prunable: role !== undefined, flopsPerWeight: role === undefined ? 0 : 2 * uses };
}

function keptDense({ weights }: Runnable): readonly KeptDense[] {
  return weights.flatMap(({ name, keptDense: reason }) => (reason === undefined ? [] : [{ weight: name, reason }]));
}

function assertSize(where: string, w: Mat, { rows, cols }: Canonical): void {
  if (w.rows === rows && w.cols === cols) return;
  throw shapeMismatch({ where, found: `${w.rows} x ${w.cols}`, expected: `${rows} x ${cols}` });
}
