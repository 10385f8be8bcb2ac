/**
 * Corrections of convolutions whose normalisation was folded into them, or that never had one: each output channel gets a scale a and a shift c,
 *   y = a (w x + b) + c,
 * so that it has the mean and variance on the calibration examples that it had in the dense network. In the graph they stand as a
 * BatchNormalization behind the convolution that does nothing at first; in the file they are w <- a w and b <- a b + c.
 */
import type { Dtype, Vec } from "@secateur/core";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { foldedMark } from "../operators/normalising.ts";
import { type GraphParam, usedNames } from "../plan/params.ts";
import { tensorValue, type Value } from "../value.ts";
import type { Norm, Statistic } from "./channel-statistics.ts";

/** A convolution with a correction. */
export interface FoldedNorm extends Norm {
  readonly param: GraphParam;
  readonly bias: GraphTensor;
}

/**
 * Puts a correction behind every convolution that alone uses its weight and bias and has no BatchNormalization behind it.
 *
 * @returns the graph with them, in which every value has its old name
 */
export function withFoldedNorms(
  graph: GraphSpec,
  params: readonly GraphParam[],
  dtype: Dtype,
): { readonly graph: GraphSpec; readonly folded: readonly FoldedNorm[] } {
  const biases = soleTensors(graph);
  const normed = new Set(graph.nodes.flatMap(({ op, inputs }) => (op === "BatchNormalization" ? [inputs[0]!] : [])));
  const taken = new Set(allNames(graph));
  const free = (base: string): string => {
    let name = base;
    while (taken.has(name)) name += "'";
    taken.add(name);
    return name;
  };
  const folded = new Map<NodeSpec, FoldedNorm>();
  for (const param of params) {
    const [node, ...others] = param.uses;
    const bias = biases.get(node?.inputs[2] ?? "");
    const { rows } = param.live;
    const fits = node?.op === "Conv" && others.length === 0 && bias?.shape.length === 1 && bias.shape[0] === rows;
    const name = node?.outputs[0];
    if (!fits || name === undefined || normed.has(name) || !graph.nodes.includes(node)) continue;
    const [mean, variance] = (["mean", "variance"] as const).map((what) => {
      return constantStatistic(filled(free(`${name} ${what}`), rows, what === "mean" ? 0 : 1), dtype);
    });
    folded.set(node, { name, param, bias, mean: mean!, variance: variance! });
  }
  const constants: GraphTensor[] = [];
  const nodes = graph.nodes.flatMap((node): readonly NodeSpec[] => {
    const one = folded.get(node);
    if (!one) return [node];
    const [scale, shift] = [
      filled(free(`${one.name} scale`), one.param.live.rows, 1),
      filled(free(`${one.name} shift`), one.param.live.rows, 0),
    ];
    const { mean, variance } = one;
    const tensors = [scale, shift, mean.tensor, variance.tensor];
    constants.push(...tensors);
    return corrected(node, { name: one.name, sums: free(`${one.name} before its correction`), tensors });
  });
  return {
    graph: { ...graph, nodes, initializers: [...graph.initializers, ...constants] },
    folded: [...folded.values()],
  };
}

/** The convolution under a name of its own, and behind it the correction under its old one. */
function corrected(
  node: NodeSpec,
  { name, sums, tensors }: { name: string; sums: string; tensors: readonly GraphTensor[] },
): readonly NodeSpec[] {
  return [
    { ...node, outputs: [sums] },
    {
      ...{ name, op: "BatchNormalization", domain: "", outputs: [name] },
      inputs: [sums, ...tensors.map((tensor) => tensor.name)],
      attributes: { epsilon: 0, [foldedMark]: 1 },
    },
  ];
}

function filled(name: string, length: number, x: number): GraphTensor {
  return { name, dtype: "f32", shape: [length], data: new Float32Array(length).fill(x) };
}

function constantStatistic(tensor: GraphTensor, dtype: Dtype): Statistic {
  const live = tensorValue(tensor, dtype)!;
  return { tensor, live, original: (live.data as Vec).slice() };
}

/** Tensors of numbers that one node alone uses, by name. */
export function soleTensors(graph: GraphSpec): ReadonlyMap<string, GraphTensor> {
  const tensors = new Map(graph.initializers.map((tensor) => [tensor.name, tensor] as const));
  for (const { op, outputs, attributes } of graph.nodes) {
    const { value } = attributes;
    if (op === "Constant" && typeof value === "object" && "dtype" in value) tensors.set(outputs[0]!, value);
  }
  const uses = new Map<string, number>();
  for (const name of usedNames(graph)) uses.set(name, (uses.get(name) ?? 0) + 1);
  // Distant numbers are read when they are asked for: vectors alone.
  const isThere = (tensor: GraphTensor): boolean =>
    tensor.distant ? tensor.shape.length === 1 : tensor.data !== undefined;
  const isRead = (tensor: GraphTensor): boolean =>
    (tensor.dtype === "f32" || tensor.dtype === "f64") && isThere(tensor);
  return new Map([...tensors].filter(([name, tensor]) => uses.get(name) === 1 && isRead(tensor)));
}

/** Every name of a graph and its bodies. */
function allNames(graph: GraphSpec): readonly string[] {
  const made = graph.nodes.flatMap(({ outputs, attributes }) => {
    const bodies = Object.values(attributes).filter((value) => typeof value === "object" && "nodes" in value);
    return [...outputs, ...(bodies as GraphSpec[]).flatMap(allNames)];
  });
  const given = [...graph.initializers, ...graph.inputs].map(({ name }) => name);
  return [...usedNames(graph), ...made, ...given];
}

/** Whether a correction does something now. */
export function isCorrecting({ mean, variance }: FoldedNorm): boolean {
  return [mean, variance].some(({ live, original }) => original.some((x: number, c: number) => x !== live.data[c]));
}

/** The canonical weights and the bias with the correction in them. */
export function foldedIn({ param, bias, mean, variance }: FoldedNorm): { readonly weights: Vec; readonly bias: Vec } {
  const { cols, data } = param.live;
  const scale = Float64Array.from(variance.live.data, (v) => 1 / Math.sqrt(v));
  const own = tensorValue(bias, "f64") as Value;
  return {
    weights: data.map((w: number, i: number) => w * scale[Math.floor(i / cols)]!),
    bias: Float64Array.from(own.data, (b, c) => scale[c]! * (b - mean.live.data[c]!)),
  };
}
