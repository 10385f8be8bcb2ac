/** Whether a graph hangs together: names that are made once, before they are used, and operator sets that are said. */
import { badOnnx } from "../../errors.ts";
import { quote } from "../../text/quote.ts";
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode } from "../onnx-model.ts";
import { typeProblem } from "./check-types.ts";

/** The first operator set whose nodes are looked at. */
export const firstKnownOpset = 7;

/**
 * The graph with its nodes in an order in which every value is made before it is used, subgraphs included. O(nodes + names).
 *
 * @throws ERR_ONNX naming a value or node that is made twice or never, a cycle, types that do not go together, or a domain without a version
 */
export function checkOnnxGraph({ source, opsets, graph }: Pick<OnnxModel, "source" | "opsets" | "graph">): OnnxGraph {
  const checked = checkGraph(graph, new Set(), { source, opsets });
  // What older operator sets take is not known here, and is not run.
  const problem = (opsets[""] ?? 0) >= firstKnownOpset ? typeProblem(checked) : undefined;
  if (problem) throw badOnnx({ source, ...problem });
  return checked;
}

function checkGraph(
  graph: OnnxGraph,
  outer: ReadonlySet<string>,
  model: Pick<OnnxModel, "source" | "opsets">,
): OnnxGraph {
  const { source, opsets } = model;
  const refuse = (found: string, expected: string): never => {
    throw badOnnx({ source, found, expected });
  };
  const known = new Set(outer);
  const own = new Set<string>();
  const define = (name: string, by: string): void => {
    if (name === "") return;
    if (own.has(name)) refuse(`the value ${quote(name)} made twice (again by ${by})`, "names that are used once");
    own.add(name);
    known.add(name);
  };
  for (const { name } of graph.initializers) define(name, "an initializer");
  for (const { name } of graph.inputs) define(name, "an input");
  const makers = new Map<string, number>();
  const labels = new Set<string>();
  graph.nodes.forEach((node, i) => {
    if (node.name !== "" && labels.has(node.name)) {
      refuse(`a second node of the name ${quote(node.name)}`, "names of nodes that are used once");
    }
    labels.add(node.name);
    if (opsets[node.domain] === undefined) {
      refuse(`operator ${quote(node.op)} of domain ${quote(node.domain)}`, "a version for it in opset_import");
    }
    for (const output of node.outputs) {
      define(output, `node ${describeNode(node)}`);
      if (output !== "") makers.set(output, i);
    }
  });
  const order = sorted(graph, makers, { known, refuse });
  const nodes = order.map((i) => checkedBody(graph.nodes[i]!, known, model));
  for (const { name } of graph.outputs) {
    if (!known.has(name)) refuse(`the output ${quote(name)}, which nothing makes`, "outputs that a node makes");
  }
  return { ...graph, nodes };
}

/** Indices of nodes in an order that runs; the file's own where it does. */
function sorted(
  { nodes }: OnnxGraph,
  makers: ReadonlyMap<string, number>,
  { known, refuse }: { known: ReadonlySet<string>; refuse: (found: string, expected: string) => never },
): readonly number[] {
  const uses = nodes.map((node) => [...new Set([...node.inputs, ...captured(node)])].filter((name) => name !== ""));
  const waiting = uses.map((names, i) => {
    for (const name of names) {
      if (known.has(name)) continue;
      refuse(`the input ${quote(name)} of node ${describeNode(nodes[i]!)}, which nothing makes`, "inputs that exist");
    }
    return new Set(names.flatMap((name) => makers.get(name) ?? [])).size;
  });
  const users = new Map<number, number[]>();
  uses.forEach((names, i) => {
    for (const maker of new Set(names.flatMap((name) => makers.get(name) ?? []))) {
      users.set(maker, [...(users.get(maker) ?? []), i]);
    }
  });
  // A heap would keep the file's order in full; files in order come out as they are, since a node frees later ones only.
  const ready = nodes.flatMap((_, i) => (waiting[i] === 0 ? [i] : []));
  const order: number[] = [];
  for (let at = 0; at < ready.length; at++) {
    order.push(ready[at]!);
    for (const user of users.get(ready[at]!) ?? []) if (--waiting[user]! === 0) ready.push(user);
  }
  if (order.length < nodes.length) {
    const stuck = nodes.find((_, i) => waiting[i]! > 0)!;
    refuse(`a cycle through node ${describeNode(stuck)}`, "a graph without cycles");
  }
  const isInOrder = uses.every((names, i) => names.every((name) => (makers.get(name) ?? -1) < i));
  return isInOrder ? nodes.map((_, i) => i) : order;
}

/** Names that the bodies of a node take from outside. */
function captured(node: OnnxNode): readonly string[] {
  return bodiesOf(node).flatMap((body) => {
    const own = new Set([...body.initializers, ...body.inputs].map(({ name }) => name));
    for (const inner of body.nodes) for (const output of inner.outputs) own.add(output);
    const used = body.nodes.flatMap((inner) => [...inner.inputs, ...captured(inner)]);
    return [...used, ...body.outputs.map(({ name }) => name)].filter((name) => !own.has(name));
  });
}

/** The graphs among a node's attributes. */
export function bodiesOf({ attributes }: Pick<OnnxNode, "attributes">): readonly OnnxGraph[] {
  return Object.values(attributes).flatMap((value) => (Array.isArray(value) ? value : [value]).filter(isGraph));
}

function isGraph(value: OnnxAttribute | readonly OnnxAttribute[]): value is OnnxGraph {
  return typeof value === "object" && "nodes" in value;
}

function checkedBody(
  node: OnnxNode,
  known: ReadonlySet<string>,
  model: Pick<OnnxModel, "source" | "opsets">,
): OnnxNode {
  if (bodiesOf(node).length === 0) return node;
  const attributes = Object.entries(node.attributes).map(([key, value]) => {
    if (!isGraph(value)) return [key, value];
    return [key, checkGraph(value, known, model)];
  });
  return { ...node, attributes: Object.fromEntries(attributes) };
}

function describeNode({ name, op }: OnnxNode): string {
  return name === "" ? op : `${quote(name)} (${op})`;
}
