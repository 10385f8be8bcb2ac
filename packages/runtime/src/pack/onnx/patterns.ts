/**
 * Functions that exporters write as several nodes, as the one they are:
 *
 *   x clip(x + 3, 0, 6) / 6   HardSwish (Howard et al. 2019, 1905.02244, section 5.2)
 *   x sigmoid(x)              Silu
 *
 * Values between must be read by nothing else.
 */
import type { OnnxLikeGraph, OnnxLikeNode, OnnxLikeTensor } from "./lowering.ts";

/** The graph with these functions in one node each, at the place of the last node of each. */
export function withPatterns(graph: OnnxLikeGraph): OnnxLikeGraph {
  const constants = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const reads = new Map<string, number>();
  for (const name of [...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ name }) => name)])
    reads.set(name, (reads.get(name) ?? 0) + 1);
  const search: Search = {
    /** The node that gives a value which one node alone reads. */
    maker(name, op) {
      const node = makers.get(name);
      return node?.op === op && reads.get(name) === 1 ? node : undefined;
    },
    /** The one number of a constant. */
    scalar: (name) => scalarOf(constants.get(name)),
  };
  const gone = new Set<OnnxLikeNode>();
  const replaced = new Map<OnnxLikeNode, OnnxLikeNode>();
  for (const node of graph.nodes) {
    const found = hardSwish(node, search) ?? silu(node, search);
    if (!found) continue;
    for (const part of found.parts) gone.add(part);
    replaced.set(node, { ...node, op: found.op, inputs: [found.x], attributes: {} });
  }
  const nodes = graph.nodes.filter((node) => !gone.has(node)).map((node) => replaced.get(node) ?? node);
  return { ...graph, nodes };
}

interface Search {
  maker(name: string, op: string): OnnxLikeNode | undefined;
  scalar(name: string): number | undefined;
}

interface Found {
  readonly op: string;
  readonly x: string;
  readonly parts: readonly OnnxLikeNode[];
}

/** Single numbers of f32: what exporters write for 1/6 differs in the last places. */
const isNear = (found: number | undefined, wanted: number): boolean =>
  found !== undefined && Math.abs(found - wanted) <= 1e-6 * wanted;

function hardSwish(node: OnnxLikeNode, { maker, scalar }: Search): Found | undefined {
  const [a = "", b = ""] = node.inputs;
  const isSixth = (node.op === "Div" && isNear(scalar(b), 6)) || (node.op === "Mul" && isNear(scalar(b), 1 / 6));
  const product = isSixth ? maker(a, "Mul") : undefined;
  if (!product) return undefined;
  for (const [x = "", other = ""] of [product.inputs, [...product.inputs].reverse()]) {
    const clip = maker(other, "Clip");
    const bounds = clip && [
      scalar(clip.inputs[1] ?? "") ?? clip.attributes["min"],
      scalar(clip.inputs[2] ?? "") ?? clip.attributes["max"],
    ];
    const sum = bounds?.[0] === 0 && bounds[1] === 6 ? maker(clip!.inputs[0]!, "Add") : undefined;
    if (!sum) continue;
    const isThree = sum.inputs.some((name, i) => scalar(name) === 3 && sum.inputs[1 - i] === x);
    if (isThree) return { op: "HardSwish", x, parts: [sum, clip!, product] };
  }
  return undefined;
}

function silu(node: OnnxLikeNode, { maker }: Search): Found | undefined {
  if (node.op !== "Mul") return undefined;
  for (const [x = "", other = ""] of [node.inputs, [...node.inputs].reverse()]) {
    const sigmoid = maker(other, "Sigmoid");
    if (sigmoid?.inputs[0] === x) return { op: "Silu", x, parts: [sigmoid] };
  }
  return undefined;
}

function scalarOf(tensor: OnnxLikeTensor | undefined): number | undefined {
  return tensor?.data?.length === 1 ? Number(tensor.data[0]) : undefined;
}
