/** A TensorFlow.js model as core's Model: evaluated, differentiated and pruned where it is, without conversion. */
import {
  type Batch,
  chooseTask,
  type Dataset,
  type Evaluation,
  type FloatTensors,
  type GradientRequest,
  type GradientRows,
  inputName,
  type Linearization,
  type Mat,
  type MeanGradient,
  type Model,
  type Moments,
  type MomentsRequest,
  matrix,
  type ParamInfo,
  type RunContext,
  shapeMismatch,
  type Task,
  type TensorSpec,
  tensorDtypeOf,
  unknownName,
} from "@secateur/core";
import { type Canonical, canonicalOf, fromCanonical, toCanonical } from "./canonical.ts";
import { dataMismatch } from "./errors.ts";
import type { GraphTopology } from "./files/graph-weights.ts";
import { createGradientKernels } from "./gradients/gradient-kernels.ts";
import { gradientRows, meanGradient } from "./gradients/gradients.ts";
import { layerMoments } from "./gradients/layer-moments.ts";
import { linearize } from "./gradients/linearize.ts";
import type { OutputKind } from "./heads.ts";
import { matchStatistics, type StatisticsMatch } from "./match-statistics.ts";
import { type ModelRun, modelRun } from "./model-run.ts";
import type { ModelFacts } from "./probe-model.ts";
import { graphRunnable, isLayersModel, layersRunnable, type Runnable } from "./runnable.ts";
import { type LossName, lossNamed } from "./tasks/loss-name.ts";
import { taskOfLoss } from "./tasks/task-of-loss.ts";
import type { GraphModel, LayersModel, Tf } from "./tf.ts";
import type { PrunableOptions } from "./weights.ts";

/** A model to adapt, and how. */
export interface TfjsModelOptions extends PrunableOptions {
  /** TensorFlow.js, with the engine to run on chosen and ready. */
  readonly tf: Tf;
  readonly model: LayersModel | GraphModel;
  /** For messages; default: the model's own name. */
  readonly name?: string;
  /**
   * The loss that {@link TfjsModel.taskFor} makes a task of; default: what the model was compiled with, else the cross-entropy that goes
   * with what computes the output: binary for a sigmoid or a single number.
   */
  readonly loss?: LossName;
  /** What the model's file says that it was compiled with, a name of Keras for each output; default: what TensorFlow.js knows. */
  readonly compiled?: readonly (string | undefined)[];
  /** The graph of a GraphModel as model.json keeps it; default: what the model was loaded from. */
  readonly topology?: GraphTopology;
  /** What storing a weight makes of its numbers (stored layout), as quantisation does; default: nothing. */
  readonly asStored?: (name: string, values: Float32Array) => Float32Array;
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
  /** What the only output is compared by where no task is named; undefined for models with several outputs. */
  readonly loss: LossName | undefined;
  /** Losses the model was compiled with that are not known here. */
  readonly unknownLosses: readonly string[];
  /** Extent of the only output [examples, classes]; undefined for others, and where the model does not say before it runs. */
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
  linearize?(request: Omit<GradientRequest, "batch">, ctx: RunContext): Promise<Linearization>;
  /** Present for models each of whose prunable weights is used once, in a product or convolution, and not as a transposed one. */
  layerMoments?(request: MomentsRequest, ctx: RunContext): Promise<Moments>;
  taskFor(data: Dataset): Task | undefined;
  run(batch: Batch, ctx: RunContext, options?: { readonly task?: Task }): Promise<FloatTensors>;
  evaluate(data: Dataset, ctx: RunContext, options?: { readonly task?: Task }): Promise<Evaluation>;
  /**
   * Measures the channels in front of every batch normalisation now, to correct the statistics when weights have changed. Present for models
   * with such layers.
   *
   * @param data - training data; 1024 examples of it are used
   */
  matchStatistics?(data: Dataset, ctx: RunContext): Promise<StatisticsMatch>;
  /** Disposes of the model and all its tensors. */
  dispose(): void;
}

/**
 * Adapts a model. It is changed in place when it is pruned, and goes on working; save it as ever, or see `savedArtifacts`.
 *
 * @throws ERR_TFJS_MODEL for several inputs, or an output without a row for each example
 * @example
 * const model = await tfjsModel({ tf, model: await tf.loadLayersModel(url) });
 * await prune({ model, solver: magnitude(), sparsity: 0.8 });
 */
export async function tfjsModel(options: TfjsModelOptions): Promise<TfjsModel> {
  const { tf, model } = options;
  const name = options.name ?? (isLayersModel(model) ? model.name : "graph-model");
  const runnable = runnableOf({ ...options, name });
  const run = modelRun({ tf, name, runnable });
  const params = new Map(run.runnable.weights.map((weight) => [weight.name, { weight, canonical: layoutOf(weight) }]));
  const find = (wanted: string) => {
    const found = params.get(wanted);
    if (!found) throw unknownName({ where: name, what: "parameter", found: wanted, known: [...params.keys()] });
    return found;
  };
  const facts = run.probe();
  const written = new Set<string>();
  const state = { run, find, gradientKernels: createGradientKernels() };
  const compiled = compiledOutputs(runnable, options);
  const only = runnable.outputs.length === 1 ? runnable.outputs[0] : undefined;
  const shape = (only && facts?.shapes[0]) ?? only?.shape;
  const classes = (shape?.length === 1 && shape[0]) || undefined;
  const loss = only && lossOf({ asked: options.loss, compiled: compiled[0]!, kind: facts?.kinds[0], classes });
  const outputs = outputSpecs(runnable, { facts, loss });
  const taskFor = (data: Dataset): Task | undefined => {
    const target = data.targets?.[0];
    if (!only || !target || data.targets!.length > 1) return undefined;
    const found = run.probe(run.layoutOf(data))!;
    const scores = found.shapes[0]?.at(-1) ?? undefined;
    const [kind = "scores"] = found.kinds;
    const isOfExamples = target.shape.every((extent) => extent === 1);
    // Whole numbers beyond 0 and 1 for a single score are numbers to be met.
    const areNumbers = scores === 1 && (target.classes ?? 0) > 2;
    const isClassNumbers = (target.classes !== undefined || !target.dtype.startsWith("f")) && !areNumbers;
    if (isClassNumbers && isOfExamples) assertClasses({ model: name, data, classes: scores });
    // Without a word on what it was trained for, a sigmoid says that several classes may hold at once.
    if (compiled[0]!.loss === undefined && options.loss === undefined && kind !== "sigmoid") return undefined;
    return taskOfLoss(
      {
        ...{ tf, output: only.name, kind, loss: loss!, compiled: compiled[0]!.compiledLoss },
        shape: found.shapes[0] ?? only.shape ?? [],
      },
      isClassNumbers && isOfExamples,
    );
  };
  const taskOf = ({ data, task }: { data: Dataset; task?: Task | undefined }): Task => {
    return task ?? chooseTask({ model: { outputs, taskFor }, data });
  };
  return {
    name,
    kind: runnable.kind,
    engine: tf.getBackend(),
    loss,
    unknownLosses: compiled.flatMap(({ unknown }) => unknown ?? []),
    classes,
    keptDense: keptDense(runnable),
    written,
    inputs: [inputSpec(runnable)],
    outputs,
    taskFor,
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
      weight.replace(options.asStored?.(wanted, values) ?? values);
      written.add(wanted);
    },
    run: async (batch, _ctx, { task } = {}) => {
      const layout = run.layoutOf({ name: "batch", size: batch.size, inputs: specsOf(batch) });
      return await run.outputsOfAll(batch, { layout, task });
    },
    gradientRows: async (request, ctx) => await gradientRows(state, { ...request, task: taskOf(request) }, ctx),
    meanGradient: async (request, ctx) => await meanGradient(state, { ...request, task: taskOf(request) }, ctx),
    ...(facts?.isDenseChain ? { linearize: (request, ctx) => linearize(state, request, ctx) } : {}),
    ...(facts?.hasMoments
      ? {
          layerMoments: (request: MomentsRequest, ctx: RunContext) =>
            layerMoments(state, { ...request, task: taskOf(request) }, ctx),
        }
      : {}),
    evaluate: async (data, ctx, { task } = {}) => await run.evaluate({ data, task: taskOf({ data, task }) }, ctx),
    ...(runnable.hasNorms
      ? { matchStatistics: (data: Dataset, ctx: RunContext) => matchStatistics({ run, written }, data, ctx) }
      : {}),
    dispose: () => runnable.dispose(),
  };
}

/** What is known of a compiled loss. */
interface CompiledOutputLoss {
  readonly loss: LossName | undefined;
  readonly compiledLoss: Runnable["outputs"][number]["compiledLoss"];
  /** A name that is neither known here nor loaded by TensorFlow.js. */
  readonly unknown?: string;
}

function compiledOutputs({ outputs }: Runnable, options: TfjsModelOptions): readonly CompiledOutputLoss[] {
  return outputs.map(({ compiled, compiledLoss }, i) => {
    const named = options.compiled?.[i] ?? compiled;
    const loss = named === undefined ? undefined : lossNamed(named);
    if (loss !== undefined || compiledLoss === undefined) {
      const unknown = loss === undefined && named !== undefined ? { unknown: named } : {};
      return { loss, compiledLoss, ...unknown };
    }
    return { loss: "model", compiledLoss };
  });
}

function lossOf(spec: {
  asked: LossName | undefined;
  compiled: CompiledOutputLoss;
  kind: OutputKind | undefined;
  classes: number | undefined;
}): LossName {
  const { asked, compiled, kind, classes } = spec;
  const usual = kind === "sigmoid" || classes === 1 ? "binary-cross-entropy" : "cross-entropy";
  return asked ?? compiled.loss ?? usual;
}

/** More classes than the model has are no class numbers of its. @throws ERR_DATA_MISMATCH */
function assertClasses(spec: { model: string; data: Dataset; classes: number | undefined }): void {
  const { model, data, classes } = spec;
  const most = classes === 1 ? 2 : classes;
  const labelled = data.targets?.[0]?.classes ?? 0;
  if (most === undefined || labelled <= most) return;
  throw dataMismatch({
    model,
    data: data.name,
    found: `${labelled} classes`,
    expected: `labels of ${most} classes`,
  });
}

function specsOf({ inputs }: Batch): readonly TensorSpec[] {
  return Object.entries(inputs).map(([name, { shape, data }]) => ({
    name,
    shape: shape.slice(1),
    dtype: tensorDtypeOf(data),
  }));
}

function inputSpec({ input }: Runnable): TensorSpec {
  const shape = input.shape.map((extent) => (extent < 0 ? null : extent));
  return { name: inputName, shape, dtype: input.dtype === "int32" ? "i32" : "f32" };
}

/** Outputs hold class scores where a softmax or the compiled loss says so, or nothing says otherwise of a row of several. */
function outputSpecs(
  { outputs }: Runnable,
  { facts, loss }: { facts: ModelFacts | undefined; loss: LossName | undefined },
): readonly TensorSpec[] {
  return outputs.map(({ name, shape: said }, i) => {
    const shape = facts?.shapes[i] ?? said ?? [null];
    const kind = facts?.kinds[i];
    const classes = shape.at(-1) ?? 1;
    const isScores = kind === "softmax" || (kind !== "sigmoid" && (loss ?? "cross-entropy") === "cross-entropy");
    return { name, shape, dtype: "f32", ...(isScores && classes > 1 ? { classes } : {}) };
  });
}

function runnableOf(options: TfjsModelOptions & { name: string }): Runnable {
  const { tf, model, name } = options;
  if (isLayersModel(model)) return layersRunnable(tf, { name, model, options });
  const artifacts = Reflect.get(model, "artifacts") as { modelTopology?: GraphTopology } | undefined;
  return graphRunnable(tf, { name, model, topology: options.topology ?? artifacts?.modelTopology ?? {} });
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
  const own = { name, shape, rows, cols, prunable: role !== undefined };
  // Each channel of a depthwise convolution has outputs of its own.
  const groups = role === "depthwise" ? { groups: shape[shape.length - 2]! } : {};
  return { ...own, ...groups, flopsPerWeight: role === undefined ? 0 : 2 * uses };
}

function keptDense({ weights }: Runnable): readonly KeptDense[] {
  return weights.flatMap(({ name, keptDense: reason }) => (reason === undefined ? [] : [{ weight: name, reason }]));
}

function assertSize(where: string, w: Mat, { rows, cols }: Canonical): void {
  if (w.rows === rows && w.cols === cols) return;
  throw shapeMismatch({ where, found: `${w.rows} x ${w.cols}`, expected: `${rows} x ${cols}` });
}
