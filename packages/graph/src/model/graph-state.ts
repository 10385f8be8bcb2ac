/** An opened graph: its weights as they are now, what it takes and gives, and plans for the shapes that came. */
import type { Dtype, TensorDtype, TensorSpec } from "@secateur/core";
import type { GraphSpec, NodeSpec, ValueSpec } from "../graph-spec.ts";
import { findOperator } from "../operators/registry.ts";
import { type DenseTensor, findParams, type GraphParam } from "../plan/params.ts";
import { type Plan, planGraph } from "../plan/plan.ts";
import { isRecurrent } from "../plan/recurrent.ts";
import { type Kind, kindOfDtype, type Shape } from "../value.ts";
import { findNorms, type Norm } from "./channel-statistics.ts";

/** What a model is opened from. */
export interface OpenGraphSpec {
  readonly graph: GraphSpec;
  /** Versions of operator sets by domain. */
  readonly opsets: Readonly<Record<string, number>>;
  /** For messages; default: the graph's own name. */
  readonly name?: string;
  /** What weights are stored and computed in; default "f32". */
  readonly dtype?: Dtype;
}

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
  /** Weights whose outputs go straight into a BatchNormalization. */
  readonly normed: ReadonlySet<string>;
  /** Batch normalisations whose statistics can be corrected. */
  readonly norms: readonly Norm[];
  /** Name of an output by the value that it is read from. */
  readonly outputOf: ReadonlyMap<string, string>;
  /** The plan for inputs of given shapes; the last few are kept. */
  planFor(shapes: ReadonlyMap<string, Shape>): Plan;
}

/** Extents of inputs that nothing is known of, where sizes have to be estimated before any data came. */
const unknownExtent = 64;
/** Plans that are kept: those of whole passes and of the last, smaller one, of two datasets. */
const mostPlans = 4;

/** Opens a graph. O(nodes + weights): weights are copied where their order changes. */
export function openGraph({ graph, opsets, name = graph.name, dtype = "f32" }: OpenGraphSpec): GraphState {
  const { params, dense } = findParams(graph, dtype);
  const { outputs, outputOf } = scoresOf(graph, opsets[""] ?? 1);
  const running: GraphSpec = {
    ...graph,
    outputs: [...outputOf.keys()].map((value) => ({ name: value, dtype: "f32" })),
  };
  const kinds = new Map(graph.inputs.map((input) => [input.name, kindOfDtype(input.dtype) ?? "real"] as const));
  const batches = graph.inputs.map(({ shape }) => shape?.[0]).filter((extent) => typeof extent === "number");
  const plans = new Map<string, Plan>();
  const norms = findNorms(graph, dtype);
  const live = new Map(
    norms.flatMap(({ mean, variance }) => [mean, variance].map((one) => [one.tensor, one.live] as const)),
  );
  return {
    name,
    dtype,
    dense,
    norms,
    outputs,
    outputOf,
    kinds,
    params: new Map(params.map((param) => [param.name, param])),
    inputs: graph.inputs.map(inputSpec),
    unknown: unknownOf(graph),
    fixedBatch: batches[0],
    normed: normedParams(graph, params),
    planFor(shapes) {
      const key = [...shapes].map(([input, shape]) => `${input} ${shape.join()}`).join("; ");
      const known = plans.get(key);
      if (known) return known;
      const plan = planGraph({ graph: running, opsets, params, dtype, inputs: shapes, kinds, live });
      if (plans.size >= mostPlans) plans.delete(plans.keys().next().value!);
      plans.set(key, plan);
      return plan;
    },
  };
}

/** Shapes of the inputs for `count` examples, with extents that vary as they are estimated. */
export function guessedShapes(state: GraphState, count: number): ReadonlyMap<string, Shape> {
  return new Map(
    state.inputs.map(({ name, shape }) => [name, [state.fixedBatch ?? count, ...shape.map((e) => e ?? unknownExtent)]]),
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

/**
 * Outputs as they are trained on: where the last node is a softmax over the last axis, the scores that go into it. The name stays the output's.
 */
function scoresOf(
  graph: GraphSpec,
  opset: number,
): { readonly outputs: readonly TensorSpec[]; readonly outputOf: ReadonlyMap<string, string> } {
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const outputOf = new Map<string, string>();
  const outputs = graph.outputs.map(({ name, shape = [] }): TensorSpec => {
    const { value, isSoftmax } = beforeSoftmax(name, { makers, opset, rank: shape.length });
    outputOf.set(value, name);
    const own = shape.slice(1).map((extent) => (typeof extent === "number" ? extent : null));
    const classes = shape.at(-1);
    const isScores = (isSoftmax || /logit/i.test(name)) && typeof classes === "number" && classes > 1;
    return { name, shape: own, dtype: "f32", ...(isScores ? { classes } : {}) };
  });
  return { outputs, outputOf };
}

function beforeSoftmax(
  name: string,
  { makers, opset, rank }: { makers: ReadonlyMap<string, NodeSpec>; opset: number; rank: number },
): { value: string; isSoftmax: boolean } {
  const node = makers.get(name);
  if (node?.domain !== "") return { value: name, isSoftmax: false };
  if (node.op === "Identity") return beforeSoftmax(node.inputs[0]!, { makers, opset, rank });
  const axis = typeof node.attributes.axis === "number" ? node.attributes.axis : opset < 13 ? 1 : -1;
  const isLast = axis === -1 || axis === rank - 1;
  const isSoftmax = (node.op === "Softmax" || node.op === "LogSoftmax") && isLast && rank > 0;
  return isSoftmax ? { value: node.inputs[0]!, isSoftmax } : { value: name, isSoftmax: false };
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
  return new Set(params.flatMap(({ name, uses }) => (uses.every((use) => normed.has(use.outputs[0]!)) ? [name] : [])));
}
