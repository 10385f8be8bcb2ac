/** An opened graph: its weights as they are now, what it takes and gives, and plans for the shapes that came. */
import { type Dtype, readsValues, type Task, type TensorDtype, type TensorSpec } from "@secateur/core";
import type { GraphSpec, GraphTensor, NodeSpec, ValueSpec } from "../graph-spec.ts";
import { findOperator } from "../operators/registry.ts";
import { type DenseTensor, findParams, type GraphParam } from "../plan/params.ts";
import { type Plan, planGraph } from "../plan/plan.ts";
import { isRecurrent } from "../plan/recurrent.ts";
import { type Kind, kindOfDtype, type Shape, type Value } from "../value.ts";
import { findNorms, type Norm, statisticNames } from "./channel-statistics.ts";
import { exampleAxes, examplesFirst, mayTurn, moved } from "./example-order.ts";
import { type FixedInputs, openInputs, reachedParams, withFixedInputs } from "./fixed-inputs.ts";
import { type FoldedNorm, withFoldedNorms } from "./folded-norms.ts";
import { type Bias, findBiases, type WritableOffset } from "./offsets/biases.ts";
import { findRecurrentBiases } from "./offsets/recurrent-biases.ts";

/** What a model is opened from. */
export interface OpenGraphSpec {
  readonly graph: GraphSpec;
  /** Versions of operator sets by domain. */
  readonly opsets: Readonly<Record<string, number>>;
  /** For messages; default: the graph's own name. */
  readonly name?: string;
  /** What weights are stored and computed in; default "f32". */
  readonly dtype?: Dtype;
  /**
   * Whether convolutions without a BatchNormalization behind them get a correction that statistics can be matched by (`withFoldedNorms`);
   * default false: on a deep network without normalisations a matched scale a channel was found to do harm.
   */
  readonly corrects?: boolean;
  /**
   * Inputs that are constants, by name: every number of them. Conditions that follow from them fold away, and weights that nothing uses any
   * more stay dense. Default: none.
   */
  readonly fixed?: FixedInputs;
}

/** Operators that make probabilities of scores, or their logarithms. */
export type OutputEnding = "Softmax" | "LogSoftmax" | "Sigmoid";

/** An opened graph. */
export interface GraphState {
  readonly name: string;
  readonly dtype: Dtype;
  readonly params: ReadonlyMap<string, GraphParam>;
  readonly dense: readonly DenseTensor[];
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Operators that are not known, and how often each stands in the graph. */
  readonly unknown: ReadonlyMap<string, number>;
  /** Examples that the graph takes at a time, where it says so. */
  readonly fixedBatch: number | undefined;
  readonly kinds: ReadonlyMap<string, Kind>;
  /** The axis that counts examples in the graph, of inputs and outputs where it is not the first. */
  readonly axes: ReadonlyMap<string, number>;
  /** Whether arrays inside may have another axis before that of the examples. */
  readonly mayTurn: boolean;
  /** Weights whose outputs go straight into a BatchNormalization. */
  readonly normed: ReadonlySet<string>;
  /** Batch normalisations whose statistics can be corrected. */
  readonly norms: readonly Norm[];
  /** Those that stand for corrections of convolutions, and go into their weights. */
  readonly folded: readonly FoldedNorm[];
  /** Biases that can be fitted, by the names of their weights. */
  readonly biases: ReadonlyMap<string, Bias>;
  /** Biases of LSTM and GRU that can be written. */
  readonly recurrentBiases: readonly WritableOffset[];
  /** The operator that outputs end in, by name, where it makes probabilities of scores. */
  readonly endings: ReadonlyMap<string, OutputEnding>;
  /** The value that each output is read from, by the output's name. */
  readonly sourceOf: ReadonlyMap<string, string>;
  /** The plan for inputs of given shapes; the last few are kept. */
  planFor(shapes: ReadonlyMap<string, Shape>): Plan;
  /** The same, without remembering it. */
  planOnce(shapes: ReadonlyMap<string, Shape>): Plan;
  /**
   * The same graph, weights and all, with its outputs as a task reads them: where the graph ends in a softmax or sigmoid, the scores that go
   * into it, or for tasks of values what comes out of it. Default: scores.
   */
  readBy(task: Pick<Task, "valuesOf"> | undefined): GraphState;
}

/** Extents of inputs that nothing is known of, where sizes have to be estimated before any data came. */
const unknownExtent = 64;
/** Extents that a graph may want at least: a window of sound has some hundreds of numbers. */
const longerExtents = [unknownExtent, 512, 4096];
/** Plans that are kept: those of whole passes and of the last, smaller one, of two datasets. */
const mostPlans = 4;

/** Opens a graph. O(nodes + weights): weights are copied where their order changes. */
export function openGraph({
  graph: given,
  opsets,
  name = given.name,
  dtype = "f32",
  corrects = false,
  fixed = new Map(),
}: OpenGraphSpec): GraphState {
  const { params, dense } = usedParams({ graph: given, opsets, dtype, fixed });
  const { graph, folded } = corrects ? withFoldedNorms(given, params, dtype) : { graph: given, folded: [] };
  const heads = headsOf(graph, opsets[""] ?? 1);
  const kinds = kindsOf(graph);
  const axes = exampleAxes(given);
  const open = openInputs(graph, fixed).map((input) => examplesFirst(input, axes));
  const batches = open.map(({ shape }) => shape?.[0]).filter((extent) => typeof extent === "number");
  const norms = [...findNorms(given, dtype), ...folded];
  const corrected = new Set(folded.map(({ param }) => param));
  const taken = new Set([
    ...params.map((param) => param.name),
    ...norms.flatMap((norm) => Object.values(statisticNames(norm))),
  ]);
  const biases = findBiases(given, { params: params.filter((param) => !corrected.has(param)), dtype, taken });
  const recurrentBiases = findRecurrentBiases(given, { dtype, taken });
  const changing = [...norms.flatMap(({ mean, variance }) => [mean, variance]), ...biases.values(), ...recurrentBiases];
  const live = new Map(changing.map((one) => [one.tensor, one.live] as const));
  const common = {
    ...{ name, dtype, dense, norms, folded, biases, recurrentBiases, kinds, axes },
    mayTurn: mayTurn(graph) || axes.size > 0,
    outputs: heads.map(({ spec }) => spec),
    endings: new Map(heads.flatMap(({ spec, ending }) => (ending ? [[spec.name, ending] as const] : []))),
    params: new Map(params.map((param) => [param.name, param])),
    inputs: open.map(inputSpec),
    unknown: unknownOf(graph),
    fixedBatch: batches[0],
    normed: normedParams(given, params),
  };
  const shared = new Map<GraphTensor, Value>();
  const views = new Map<string, GraphState>();
  const readBy: GraphState["readBy"] = (task) => {
    const sourceOf = new Map(
      heads.map(({ spec, scores }) => [spec.name, readsValues(task, spec.name) ? spec.name : scores] as const),
    );
    const key = [...sourceOf.values()].join("\n");
    const known = views.get(key);
    if (known) return known;
    const outputs = [...new Set(sourceOf.values())].map((value) => ({ name: value, dtype: "f32" }));
    const plan = { graph: { ...graph, outputs }, opsets, params, dtype, kinds, live, shared };
    const planOnce: GraphState["planOnce"] = (inputs) =>
      planGraph({ ...plan, graph: withFixedInputs(plan.graph, fixed, inputs), inputs });
    const view = { ...common, sourceOf, readBy, planOnce, planFor: keptPlans(planOnce) };
    views.set(key, view);
    return view;
  };
  return readBy(undefined);
}

/** The weights of a graph; those that its fixed inputs leave without a use are left alone. */
function usedParams({
  graph,
  opsets,
  dtype,
  fixed,
}: Required<Pick<OpenGraphSpec, "graph" | "opsets" | "dtype" | "fixed">>): ReturnType<typeof findParams> {
  const found = findParams(graph, dtype);
  if (fixed.size === 0) return found;
  const axes = exampleAxes(graph);
  const inputs = openInputs(graph, fixed).map((input) => inputSpec(examplesFirst(input, axes)));
  const guesses = longerExtents.map((extent) => guessedShapes({ inputs, axes, fixedBatch: undefined }, 1, extent));
  const spec = { graph, opsets, params: found.params, dtype, kinds: kindsOf(graph) };
  const reached = reachedParams(spec, { fixed, guesses });
  const unused = found.params.filter((param) => !reached.has(param));
  const reason = "with its inputs as they are fixed nothing uses it";
  return {
    params: found.params.filter((param) => reached.has(param)),
    dense: [...found.dense, ...unused.map(({ name }) => ({ name, reason }))],
  };
}

function kindsOf({ inputs }: GraphSpec): ReadonlyMap<string, Kind> {
  return new Map(inputs.map((input) => [input.name, kindOfDtype(input.dtype) ?? "real"] as const));
}

/** Makes plans, and remembers the last few. */
function keptPlans(planOnce: GraphState["planOnce"]): GraphState["planFor"] {
  const plans = new Map<string, Plan>();
  return (inputs) => {
    const key = [...inputs].map(([input, shape]) => `${input} ${shape.join()}`).join("; ");
    const known = plans.get(key);
    if (known) {
      // The one that was not asked for longest is dropped first.
      plans.delete(key);
      plans.set(key, known);
      return known;
    }
    const plan = planOnce(inputs);
    if (plans.size >= mostPlans) plans.delete(plans.keys().next().value!);
    plans.set(key, plan);
    return plan;
  };
}

/** Shapes of the inputs for `count` examples as the graph has them, with extents that vary as they are estimated. */
export function guessedShapes(
  { inputs, axes, fixedBatch }: Pick<GraphState, "inputs" | "axes" | "fixedBatch">,
  count: number,
  varying: number = unknownExtent,
): ReadonlyMap<string, Shape> {
  return new Map(
    inputs.map(({ name, shape }) => {
      const own = [fixedBatch ?? count, ...shape.map((e) => e ?? varying)];
      return [name, moved(own, 0, axes.get(name) ?? 0)];
    }),
  );
}

function inputSpec({ name, dtype, shape = [] }: ValueSpec): TensorSpec {
  const own = shape.slice(1).map((extent) => (typeof extent === "number" ? extent : null));
  return { name, shape: own, dtype: tensorDtype(dtype) };
}

/** The element type that data for an input has: half precision comes as f32, truth values as bytes. */
function tensorDtype(dtype: string): TensorDtype {
  if (/^(f64|[iu](8|16|32)|i64)$/.test(dtype)) return dtype as TensorDtype;
  if (dtype === "bool") return "u8";
  return dtype === "u64" ? "i64" : "f32";
}

/** An output, and the value with the scores behind it: its own where it does not end in what makes probabilities of scores. */
interface OutputHead {
  readonly spec: TensorSpec;
  readonly scores: string;
  readonly ending?: OutputEnding;
}

/** Outputs in the order of the graph. Of class scores, known by a softmax over the last axis or by name, it is said how many classes they are of. */
function headsOf(graph: GraphSpec, opset: number): readonly OutputHead[] {
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const axes = exampleAxes(graph);
  return graph.outputs.map((output): OutputHead => {
    const { name, shape = [] } = examplesFirst(output, axes);
    const head = scoresBehind(name, { makers, opset, rank: shape.length });
    const own = shape.slice(1).map((extent) => (typeof extent === "number" ? extent : null));
    const classes = shape.at(-1);
    const isOfClasses = head.ending ? head.ending !== "Sigmoid" : /logit/i.test(name);
    const areClasses = isOfClasses && typeof classes === "number" && classes > 1;
    return { ...head, spec: { name, shape: own, dtype: "f32", ...(areClasses ? { classes } : {}) } };
  });
}

/** What goes into the last softmax over the last axis, or the last sigmoid. A sigmoid takes every number by itself, so it has no axis. */
function scoresBehind(
  name: string,
  { makers, opset, rank }: { makers: ReadonlyMap<string, NodeSpec>; opset: number; rank: number },
): Pick<OutputHead, "scores" | "ending"> {
  const node = makers.get(name);
  if (node?.domain !== "") return { scores: name };
  const [input = name] = node.inputs;
  if (node.op === "Identity") return scoresBehind(input, { makers, opset, rank });
  if (node.op === "Sigmoid") return { scores: input, ending: node.op };
  if (node.op !== "Softmax" && node.op !== "LogSoftmax") return { scores: name };
  const axis = typeof node.attributes.axis === "number" ? node.attributes.axis : opset < 13 ? 1 : -1;
  return rank > 0 && (axis === -1 || axis === rank - 1) ? { scores: input, ending: node.op } : { scores: name };
}

function unknownOf(graph: GraphSpec): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const walk = ({ nodes }: GraphSpec): void => {
    for (const node of nodes) {
      const isKnown =
        findOperator(node) || isRecurrent(node) || (node.domain === "" && (node.op === "Constant" || node.op === "If"));
      const name = node.domain === "" ? node.op : `${node.domain}.${node.op}`;
      if (!isKnown) counts.set(name, (counts.get(name) ?? 0) + 1);
      for (const value of Object.values(node.attributes)) {
        if (typeof value === "object" && "nodes" in value) walk(value);
      }
    }
  };
  walk(graph);
  return counts;
}

function normedParams(graph: GraphSpec, params: readonly GraphParam[]): ReadonlySet<string> {
  const normed = new Set(graph.nodes.flatMap(({ op, inputs }) => (op === "BatchNormalization" ? [inputs[0]!] : [])));
  const isNormed = (use: NodeSpec): boolean => !isRecurrent(use) && normed.has(use.outputs[0]!);
  return new Set(params.flatMap(({ name, uses }) => (uses.every(isNormed) ? [name] : [])));
}
