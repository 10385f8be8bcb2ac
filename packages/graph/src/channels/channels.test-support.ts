/** Small graphs whose channels are masked and cut, and what both compute. */
import { createRng, type Rng, referenceKernels } from "@secateur/core";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import type { Shape } from "../value.ts";
import { type ChannelGroup, channelGroups } from "./channel-groups.ts";
import { compareGraphs } from "./compare-graphs.ts";
import { type CutGraph, cutGraph } from "./cut-graph.ts";
import { maskChannels } from "./mask-channels.ts";
import { type ChannelSpec, traceChannels } from "./trace-channels.ts";

/** A node of one output, which names it. */
export function node(
  op: string,
  inputs: readonly string[],
  output: string | readonly string[],
  attributes: NodeSpec["attributes"] = {},
): NodeSpec {
  const outputs = typeof output === "string" ? [output] : output;
  return { name: outputs[0]!, op, domain: "", inputs, outputs, attributes };
}

/** Random numbers of a shape, positive where variances are asked for. */
export function weights(rng: Rng, name: string, shape: Shape): GraphTensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const isVariance = name.includes("variance");
  const data = Float32Array.from({ length: size }, () => (isVariance ? 0.5 + rng.next() : rng.normal()));
  return { name, dtype: "f32", shape, data };
}

/** A list of whole numbers. */
export function whole(name: string, ...numbers: readonly number[]): GraphTensor {
  return { name, dtype: "i64", shape: [numbers.length], data: BigInt64Array.from(numbers, BigInt) };
}

/** A graph of tensors by name and shape, drawn at random. */
export function graphOf(spec: {
  readonly nodes: readonly NodeSpec[];
  readonly tensors?: Readonly<Record<string, Shape>>;
  readonly constants?: readonly GraphTensor[];
  readonly input?: Shape;
  readonly output: string;
  readonly seed?: number;
}): ChannelSpec {
  const { nodes, tensors = {}, constants = [], input = [2, 3, 8, 8], output, seed = 1 } = spec;
  const rng = createRng(seed);
  const drawn = Object.entries(tensors).map(([name, shape]) => weights(rng, name, shape));
  const graph: GraphSpec = {
    name: "small",
    nodes,
    initializers: [...drawn, ...constants],
    inputs: [{ name: "x", dtype: "f32", shape: ["batch", ...input.slice(1)] }],
    outputs: [{ name: output, dtype: "f32" }],
  };
  return { graph, opsets: { "": 17 }, shapes: new Map([["x", input]]) };
}

/** The groups of a graph. */
export function groupsOf(spec: ChannelSpec): readonly ChannelGroup[] {
  return channelGroups(traceChannels(spec)).groups;
}

/** Masks the groups that are picked and cuts; the difference is a share of the largest output. */
export function maskedAndCut(
  spec: ChannelSpec,
  isPicked: (group: ChannelGroup, index: number) => boolean,
): { readonly before: ChannelSpec; readonly cut: CutGraph; readonly difference: number } {
  const before = { ...spec, graph: maskChannels(spec.graph, groupsOf(spec).filter(isPicked)) };
  const cut = cutGraph(before);
  return { before, cut, difference: differenceOf(before, cut.graph) };
}

/** By how much two graphs differ, as a share of the largest output. */
export function differenceOf(spec: ChannelSpec, other: GraphSpec): number {
  return compareGraphs({ ...spec, other, kernels: referenceKernels, seed: 5 }).relative;
}

/** The shape of a tensor of a graph. */
export function shapeOf({ graph }: { readonly graph: GraphSpec }, name: string): Shape | undefined {
  return graph.initializers.find((tensor) => tensor.name === name)?.shape;
}
