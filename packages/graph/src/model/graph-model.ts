/** A graph of tensor operators as core's Model: run, evaluated, differentiated and pruned. */
import {
  type Batch,
  chooseTask,
  type Dataset,
  type Evaluation,
  evaluateBatches,
  type FloatTensors,
  type GradientRequest,
  type GradientRows,
  keptPool,
  type LayerInputs,
  type LayerInputsRequest,
  type Linearization,
  type Mat,
  type MeanGradient,
  type Model,
  type ModelBlock,
  type Moments,
  type MomentsRequest,
  matrix,
  type ParamInfo,
  type RunContext,
  shapeMismatch,
  type Task,
  takeAllExamples,
  throwIfAborted,
  unknownName,
  type Vec,
  withPool,
} from "@secateur/core";
import { notStored, unknownOperators } from "../errors.ts";
import type { Attribute, GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { type DenseTensor, type GraphParam, toStored } from "../plan/params.ts";
import { runGraph } from "../run/run-graph.ts";
import { graphBlocks } from "./blocks.ts";
import { type ChannelStatistics, measureChannels, type Statistic, statisticNames } from "./channel-statistics.ts";
import { foldedIn, isCorrecting } from "./folded-norms.ts";
import { gradientRows, meanGradient } from "./gradients.ts";
import { type GraphState, guessedShapes, type OpenGraphSpec, type OutputEnding, openGraph } from "./graph-state.ts";
import { layerInputs } from "./layer-inputs.ts";
import { layerMoments } from "./layer-moments.ts";
import { linearize } from "./linearize.ts";
import { outputsOf, type Pass, passOf, passSize, rowPassSize } from "./passes.ts";

/** A graph under pruning. A graph with unknown operators has weights and nothing else: none of the optional methods. */
export interface GraphModel extends Model {
  /** The canonical weights by parameter, live: whoever changes them in place says so with `write`. */
  readonly weights: ReadonlyMap<string, Mat>;
  /** Biases of layers by name, live columns [rows, 1]: each is added to the outputs of one weight alone. `meanGradient` takes their names, too, behind those of weights. */
  readonly biases: ReadonlyMap<string, Mat>;
  /** Tensors of two or more dimensions that pruning leaves alone. */
  readonly keptDense: readonly DenseTensor[];
  /** The operator that outputs end in, by name, where it makes probabilities of scores: tasks of scores read what goes into it. */
  readonly endings: ReadonlyMap<string, OutputEnding>;
  /** The axis that counts examples in the graph, of inputs and outputs where it is not the first; in data and results they come first. */
  readonly exampleAxes: ReadonlyMap<string, number>;
  /** Names of the weights in the order in which the graph uses them. */
  readonly order: readonly string[];
  /**
   * All numbers that outputs follow from and that a run may change, as they are now, by name: weights, biases, those of LSTM and GRU, statistics of
   * normalisations. All are read and written as parameters are.
   */
  readonly numbers: ReadonlyMap<string, Mat>;
  /** Names of the weights of convolutions. */
  readonly convolutions: readonly string[];
  /** Names of weights whose inputs `layerInputs` does not give: of transposed convolutions, and of several nodes. */
  readonly withoutInputs: readonly string[];
  /** Operators that are not known, and how often each stands in the graph. */
  readonly unknownOperators: ReadonlyMap<string, number>;
  /** Weights as the graph stores them, now. @throws ERR_UNKNOWN_NAME */
  stored(name: string): { readonly tensor: GraphTensor; readonly data: Vec };
  /** Weights of convolutions without a batch normalisation behind them whose own scales and biases are matched as its statistics are. */
  readonly corrected: readonly string[];
  /**
   * Mean and variance of the channels in front of every batch normalisation, on a sample of the data that the context's seed draws. Absent
   * where the graph has none, as the two below are.
   */
  channelStatistics?(data: Dataset, ctx: RunContext): Promise<ChannelStatistics>;
  /** Corrects the statistics of batch normalisation so that what they give is distributed as with the reference, on the same sample. */
  matchStatistics?(reference: ChannelStatistics, data: Dataset, ctx: RunContext): Promise<void>;
  /** Brings back the statistics that the file has, or those of a copy. */
  restoreStatistics?(kept?: GraphStatistics): void;
  /** A copy of the statistics as they are now. */
  captureStatistics?(): GraphStatistics;
  /** Tensors beside the weights that were written or matched, with their numbers: statistics, biases, and weights and biases that took in a correction. */
  changedOffsets(): ReadonlyMap<GraphTensor, Vec>;
  /** Names of the weights written since the model was opened. */
  readonly written: ReadonlySet<string>;
  /** Multiply-adds times two and other operations of one example. @throws as `run` */
  flops(data?: Dataset): Promise<number>;
}

/** Statistics of every batch normalisation of a model, in its order. */
export type GraphStatistics = readonly { readonly mean: Vec; readonly variance: Vec }[];

/**
 * Opens a graph as a model. Where it ends in a softmax or sigmoid, tasks of scores (classes, yes or no) read what goes into it, under the
 * output's name, and tasks of values (regression) what comes out.
 *
 * @example
 * const { graph, opsets } = decodeOnnx(bytes, "model.onnx");
 * const model = createGraphModel({ graph, opsets });
 */
export function createGraphModel(spec: OpenGraphSpec): GraphModel {
  const state = openGraph(spec);
  const written = new Set<string>();
  const find = (name: string): GraphParam => {
    const found = state.params.get(name);
    if (!found)
      throw unknownName({ where: state.name, what: "parameter", found: name, known: [...state.params.keys()] });
    return found;
  };
  const infos = describeParams(state);
  const offsets = offsetsByName(state);
  const model = {
    name: state.name,
    inputs: state.inputs,
    outputs: state.outputs,
    endings: state.endings,
    exampleAxes: state.axes,
    keptDense: state.dense,
    unknownOperators: state.unknown,
    order: orderOfUse(spec.graph, [...state.params.values()]),
    convolutions: [...state.params.values()].flatMap(({ name, uses }) =>
      uses.some(({ op }) => op.startsWith("Conv")) ? [name] : [],
    ),
    withoutInputs: [...state.params.values()].flatMap(({ name, order, uses }) =>
      order.kind === "conv-transpose" || uses.length > 1 ? [name] : [],
    ),
    corrected: state.folded.map(({ param }) => param.name),
    written,
    numbers: new Map<string, Mat>([...[...state.params].map(([name, { live }]) => [name, live] as const), ...offsets]),
    biases: new Map([...state.biases.values()].map((bias) => [bias.name, column(bias)] as const)),
    weights: new Map<string, Mat>([...state.params].map(([name, { live }]) => [name, live])),
    params: () => infos,
    async read(name: string): Promise<Mat> {
      const live = offsets.get(name) ?? find(name).live;
      return matrix(live.rows, live.cols, live.data.slice());
    },
    async write(name: string, w: Mat): Promise<void> {
      const live = offsets.get(name) ?? find(name).live;
      if (w.rows !== live.rows || w.cols !== live.cols) {
        throw shapeMismatch({
          where: `${state.name}: parameter '${name}'`,
          found: `${w.rows} x ${w.cols}`,
          expected: `${live.rows} x ${live.cols}`,
        });
      }
      const param = state.params.get(name);
      if (!param?.tensor.distant) live.data.set(w.data);
      else if (param.tensor.store) param.tensor.store(toStored(w.data, param));
      else throw notStored(state.name, name);
      if (!offsets.has(name)) written.add(name);
    },
    stored(name: string) {
      const param = find(name);
      const correction = state.folded.find((one) => one.param === param && isCorrecting(one));
      const data = correction ? foldedIn(correction).weights : param.live.data;
      return { tensor: param.tensor, data: toStored(data, param) };
    },
    changedOffsets() {
      const corrections = state.folded.filter(isCorrecting);
      const statistics = state.norms.flatMap((norm) => ("param" in norm ? [] : [norm.mean, norm.variance]));
      const all = [...statistics, ...state.biases.values(), ...state.recurrentBiases];
      const changed = all.filter(({ live, original }) => original.some((x: number, c: number) => x !== live.data[c]));
      return new Map([
        ...changed.map(({ tensor, live }) => [tensor, live.data.slice() as Vec] as const),
        ...corrections.map((one) => [one.bias, foldedIn(one).bias] as const),
        ...corrections.map(({ param }) => [param.tensor, model.stored(param.name).data] as const),
      ]);
    },
    async flops(data?: Dataset) {
      if (!data) return state.planFor(guessedShapes(state, 1)).flops;
      return passOf(state, await data.batch(Uint32Array.of(0)), 0).plan.flops;
    },
  };
  if (state.unknown.size > 0) return model;
  return { ...model, ...capabilities(state, find), ...(state.norms.length > 0 ? statistics(state) : {}) };
}

function column({ live }: { live: Statistic["live"] }): Mat {
  return matrix(live.data.length, 1, live.data as Vec);
}

/** Live biases and statistics as columns [channels, 1]. */
function offsetsByName({ norms, biases, recurrentBiases }: GraphState): ReadonlyMap<string, Mat> {
  const statistics = norms.flatMap((norm) => {
    const { mean, variance } = statisticNames(norm);
    return [[mean, column(norm.mean)] as const, [variance, column(norm.variance)] as const];
  });
  const own = [...biases.values(), ...recurrentBiases].map((bias) => [bias.name, column(bias)] as const);
  return new Map([...own, ...statistics]);
}

function statistics(
  state: GraphState,
): Pick<GraphModel, "channelStatistics" | "matchStatistics" | "restoreStatistics" | "captureStatistics"> {
  return {
    channelStatistics: (data, ctx) => measureChannels(state, data, { ctx }),
    async matchStatistics(reference, data, ctx) {
      await measureChannels(state, data, { ctx, reference });
    },
    restoreStatistics(kept) {
      state.norms.forEach(({ mean, variance }, n) => {
        mean.live.data.set(kept?.[n]?.mean ?? mean.original);
        variance.live.data.set(kept?.[n]?.variance ?? variance.original);
      });
    },
    captureStatistics: () =>
      state.norms.map(({ mean, variance }) => ({
        mean: (mean.live.data as Vec).slice(),
        variance: (variance.live.data as Vec).slice(),
      })),
  };
}

/** The error for what a graph with unknown operators cannot do; undefined where all are known. */
export function assertKnownOperators({ name, unknownOperators: unknown }: GraphModel, what: string): void {
  if (unknown.size === 0) return;
  throw unknownOperators({ where: name, operators: [...unknown].map(([op, count]) => `${op} (${count})`), what });
}

function capabilities(state: GraphState, find: (name: string) => GraphParam) {
  const chosen = (names: readonly string[], ctx: RunContext) => ({ params: names.map(find), ctx });
  const self = { outputs: state.outputs };
  const pools = keptPool(state.dtype);
  const taskFor = ({ data, task }: Pick<GradientRequest, "data" | "task">) => task ?? chooseTask({ model: self, data });
  return {
    async run(
      batch: Batch,
      ctx: RunContext,
      { task }: { readonly task?: Task | undefined } = {},
    ): Promise<FloatTensors> {
      throwIfAborted(ctx.signal);
      const read = state.readBy(task);
      const size = await sizeFor(read, batch);
      const passAt = (start: number): Pass => {
        const count = Math.min(size, batch.size - start);
        if (count === batch.size) return passOf(read, batch, 0);
        const indices = Uint32Array.from({ length: count }, (_, i) => start + i);
        return passOf(read, { size: count, inputs: takeAllExamples(batch.inputs, indices) }, start);
      };
      const first = passAt(0);
      return await pools.use(ctx.kernels, first.plan, async (pool) => {
        const parts: FloatTensors[] = [];
        for (let start = 0; start < batch.size; start += size) {
          const pass = start === 0 ? first : passAt(start);
          parts.push(outputsOf(read, pass, runGraph({ ...pass, pool })));
        }
        return joinOutputs(parts);
      });
    },
    async gradientRows(request: GradientRequest, ctx: RunContext): Promise<GradientRows> {
      throwIfAborted(ctx.signal);
      const task = taskFor(request);
      return await gradientRows(state.readBy(task), { ...request, task }, chosen(request.params, ctx));
    },
    async passExamples(
      data: Dataset,
      { batch, task }: Partial<Pick<GradientRequest, "batch" | "task">> = {},
    ): Promise<number | undefined> {
      // Of a fixed number a short pass is fed copies, which shares would have more of.
      if (state.fixedBatch !== undefined) return undefined;
      if (batch === undefined) return await passSize(state, data);
      return await rowPassSize(state.readBy(taskFor({ data, ...(task ? { task } : {}) })), data, batch);
    },
    async meanGradient(request: Omit<GradientRequest, "batch">, ctx: RunContext): Promise<MeanGradient> {
      throwIfAborted(ctx.signal);
      const task = taskFor(request);
      const biases = [...state.biases].filter(([, { name }]) => request.params.includes(name));
      const named = new Set(biases.map(([, { name }]) => name));
      const params = request.params.filter((name) => !named.has(name)).map(find);
      return await meanGradient(state.readBy(task), { ...request, task }, { params, biases, ctx });
    },
    async linearize(request: Omit<GradientRequest, "batch">, ctx: RunContext): Promise<Linearization> {
      throwIfAborted(ctx.signal);
      return await linearize(state.readBy(request.task), request, chosen(request.params, ctx));
    },
    async layerMoments(request: MomentsRequest, ctx: RunContext): Promise<Moments> {
      throwIfAborted(ctx.signal);
      const task = taskFor(request);
      return await layerMoments(state.readBy(task), { ...request, task }, chosen(request.params, ctx));
    },
    layerInputs(request: LayerInputsRequest, ctx: RunContext): AsyncIterable<LayerInputs> {
      const { params } = chosen(request.params, ctx);
      return layerInputs(state, request, { params, ctx });
    },
    async blocks({ params, data }: Parameters<NonNullable<Model["blocks"]>>[0]): Promise<readonly ModelBlock[]> {
      return await graphBlocks(state, { params: params.map(find), data });
    },
    async evaluate(
      data: Dataset,
      ctx: RunContext,
      options: { readonly task?: GradientRequest["task"] } = {},
    ): Promise<Evaluation> {
      throwIfAborted(ctx.signal);
      const task = options.task ?? chooseTask({ model: self, data });
      const read = state.readBy(task);
      const batchSize = await passSize(read, data);
      return await withPool(ctx.kernels, state.dtype, async (pool) => {
        return await evaluateBatches(
          {
            model: state.name,
            data,
            task,
            batchSize,
            outputsOf(batch) {
              const pass = passOf(read, batch, 0);
              return outputsOf(read, pass, runGraph({ ...pass, pool }));
            },
          },
          ctx,
        );
      });
    },
  };
}

async function sizeFor(state: GraphState, batch: Batch): Promise<number> {
  const first = (): Batch => {
    return { size: 1, inputs: takeAllExamples(batch.inputs, Uint32Array.of(0)) };
  };
  return await passSize(state, { name: "batch", size: batch.size, inputs: state.inputs, batch: first });
}

function joinOutputs(parts: readonly FloatTensors[]): FloatTensors {
  const [first] = parts;
  if (!first || parts.length === 1) return first ?? {};
  return Object.fromEntries(
    Object.entries(first).map(([name, { shape, data }]) => {
      const all = parts.map((part) => part[name]!);
      const count = all.reduce((sum, { shape: own }) => sum + own[0]!, 0);
      const out = matrix(
        1,
        all.reduce((sum, { data: own }) => sum + own.length, 0),
        undefined,
      ).data;
      const joined = data instanceof Float64Array ? new Float64Array(out.length) : out;
      let start = 0;
      for (const { data: own } of all) {
        joined.set(own, start);
        start += own.length;
      }
      return [name, { shape: [count, ...shape.slice(1)], data: joined }];
    }),
  );
}

/** Weights by the places of the nodes that use them first; bodies of a node stand where it does. */
function orderOfUse(graph: GraphSpec, params: readonly GraphParam[]): readonly string[] {
  const places = new Map<NodeSpec, number>();
  const walk = ({ nodes }: GraphSpec): void => {
    for (const node of nodes) {
      places.set(node, places.size);
      for (const value of Object.values(node.attributes)) if (isBody(value)) walk(value);
    }
  };
  walk(graph);
  const placeOf = ({ uses }: GraphParam): number => Math.min(...uses.map((node) => places.get(node) ?? 0));
  return [...params].sort((a, b) => placeOf(a) - placeOf(b)).map(({ name }) => name);
}

function isBody(value: Attribute): value is GraphSpec {
  return typeof value === "object" && "nodes" in value;
}

function describeParams(state: GraphState): readonly ParamInfo[] {
  const uses = usesPerExample(state);
  return [...state.params.values()].map(({ name, tensor, live }) => ({
    name,
    shape: tensor.shape,
    rows: live.rows,
    cols: live.cols,
    prunable: true,
    flopsPerWeight: 2 * (uses.get(name) ?? 1),
  }));
}

/** How often a weight is multiplied for one example, where shapes that vary are taken as 64; once where that cannot be told. */
function usesPerExample(state: GraphState): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  if (state.unknown.size > 0) return counts;
  try {
    const { steps } = state.planFor(guessedShapes(state, 1));
    for (const { weights, flops } of steps) {
      for (const use of weights) {
        if (!use) continue;
        const { rows, cols } = state.params.get(use.param)!.live;
        const size = rows * cols;
        counts.set(use.param, (counts.get(use.param) ?? 0) + flops / (2 * size * (state.fixedBatch ?? 1)));
      }
    }
  } catch {
    // The guessed shapes do not fit this graph; its data's will.
  }
  return counts;
}
