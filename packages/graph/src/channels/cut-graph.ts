/**
 * Surgery: groups of channels are taken out of every tensor of a graph, constants that they added go into biases, and nodes that say numbers of
 * channels say the new ones. What comes out is planned anew and compared, value by value, with what the identities foretell. Round after round,
 * until nothing more can go: where a channel is gone, those that only it had read are of no use.
 */
import { isPruneError } from "@secateur/core";
import { cutDiffers } from "../errors.ts";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { describeNode } from "../operators/node-facts.ts";
import { channelGroups, type FrozenAxis } from "./channel-groups.ts";
import { channelValues } from "./channel-values.ts";
import { foldConstants } from "./fold-constants.ts";
import { cutTensor, type KeptPlaces, keptPlaces, keptShape } from "./kept-places.ts";
import { type Patch, patchNodes } from "./patch-nodes.ts";
import { channelSums, removableChannels, withoutEmptyAxes } from "./removable-channels.ts";
import { type ChannelSpec, type TracedGraph, traceChannels } from "./trace-channels.ts";

/** A graph with channels cut out. */
export interface CutGraph {
  readonly graph: GraphSpec;
  /** Groups of channels before the cut. */
  readonly groups: number;
  /** How many of them went. */
  readonly gone: number;
  /** What stays for good, and why. */
  readonly frozen: readonly FrozenAxis[];
}

/** What to cut. */
export interface CutSpec extends ChannelSpec {
  /** Widths that are left are multiples of this, or whole: some runtimes are fastest at multiples of 8 or 16. Default 1. */
  readonly multiple?: number | undefined;
}

/**
 * Cuts all channels that go without a change of the outputs, but for rounding. The graph that comes in is not changed; tensors and nodes that stay as
 * they are are the same objects in the one that comes out.
 *
 * @throws ERR_OPERATOR, ERR_GRAPH_NODE for a graph that cannot be planned, ERR_CUT where the result is not what was foretold
 */
export function cutGraph(spec: CutSpec): CutGraph {
  const stays = new Set<string>();
  let graph = spec.graph;
  let traced = traceChannels(spec, stays);
  const { groups, frozen } = channelGroups(traced);
  let gone = 0;
  for (;;) {
    const round = cutOnce({ ...spec, graph }, traced, stays);
    if (!round) break;
    if (round.stuck.length > 0) {
      for (const node of round.stuck) stays.add(node.outputs[0]!);
      traced = traceChannels({ ...spec, graph }, stays);
      continue;
    }
    ({ graph, traced } = round);
    gone += round.gone;
  }
  const last = stays.size === 0 ? frozen : channelGroups(traceChannels(spec, stays)).frozen;
  return { graph, groups: groups.length, gone, frozen: last };
}

interface Round {
  readonly graph: GraphSpec;
  readonly traced: TracedGraph;
  readonly gone: number;
  /** Nodes that could not be written anew; where there are any, nothing is cut. */
  readonly stuck: readonly NodeSpec[];
}

/** Takes one round of channels out; undefined where nothing goes. */
function cutOnce(spec: CutSpec, traced: TracedGraph, stays: ReadonlySet<string>): Round | undefined {
  const { graph } = spec;
  const values = channelValues(traced);
  const sums = channelSums(traced, new Set(graph.nodes));
  const gone = removableChannels(traced, { values, sums, multiple: spec.multiple ?? 1 });
  if (gone.size === 0) return undefined;
  const kept = keptPlaces(traced, gone);
  const freshName = namer(graph);
  const folds = foldConstants({ traced, values, sums, kept, freshName });
  const unforeseen = (fault: Fault): never => {
    throw cutDiffers(fault.found);
  };
  return { ...cutOut(spec, { traced, stays, kept, folds, freshName, unforeseen }), gone: gone.size };
}

/** The graph with the kept places only, or the nodes that hinder it. */
function cutOut(
  spec: ChannelSpec,
  cut: {
    readonly traced: TracedGraph;
    readonly stays: ReadonlySet<string>;
    readonly kept: readonly KeptPlaces[];
    readonly folds: ReturnType<typeof foldConstants>;
    readonly freshName: (wanted: string) => string;
    /** The nodes to leave alone where no extent is computed and a value has another shape than was foretold. */
    readonly unforeseen: (fault: Fault) => readonly NodeSpec[];
  },
): Omit<Round, "gone"> {
  const { graph } = spec;
  const { traced, stays, kept, folds, freshName, unforeseen } = cut;
  const patch = patchNodes({ graph, traced, kept, freshName });
  const tensors = new Map(
    [...traced.tensors].map(([tensor, slot]) => [tensor, cutTensor(tensor, kept[slot]!)] as const),
  );
  const smaller = rewritten(graph, {
    tensors,
    folds: folds.nodes,
    patch: patch.nodes,
    added: [...folds.added, ...patch.added],
  });
  /** The nodes to leave alone: those at fault, else all whose extents are computed. */
  const stuck = (own: readonly NodeSpec[]): Omit<Round, "gone"> => {
    return { graph, traced, stuck: own.length > 0 ? own : patch.unsure };
  };
  try {
    const next = traceChannels({ ...spec, graph: smaller }, stays);
    const fault = faultOf(traced, kept, next);
    if (fault === undefined) return { graph: smaller, traced: next, stuck: [] };
    if (patch.unsure.length === 0) return stuck(unforeseen(fault));
    return stuck(patch.unsure.filter((node) => node === fault.node));
  } catch (error) {
    if (patch.unsure.length === 0 || !isPruneError(error)) throw error;
    return stuck(patch.unsure.filter((node) => describeNode(node) === error.details?.["node"]));
  }
}

/**
 * The channels of a graph, those that cannot be cut fixed: the first group of every kind is cut on trial, all at once, and nodes that say extents in ways
 * that cannot be written anew keep theirs. Costs a few traces, and a copy of what is cut.
 *
 * @throws ERR_OPERATOR, ERR_GRAPH_NODE as traceChannels
 */
export function cuttableChannels(spec: ChannelSpec): TracedGraph {
  const stays = new Set<string>();
  for (;;) {
    const traced = traceChannels(spec, stays);
    const kept = keptPlaces(traced, withoutEmptyAxes(traced, oneOfEachKind(traced)));
    const folds = { nodes: new Map(), added: [] };
    const unforeseen = ({ node }: Fault): readonly NodeSpec[] => [node];
    const { stuck } = cutOut(spec, { traced, stays, kept, folds, freshName: namer(spec.graph), unforeseen });
    // What hinders although it is left alone already is for the cut itself to say.
    if (stuck.every(({ outputs: [first = ""] }) => stays.has(first))) return traced;
    for (const node of stuck) stays.add(node.outputs[0]!);
  }
}

/** Of groups that take as many places of the same axes the first. */
function oneOfEachKind(traced: TracedGraph): ReadonlySet<number> {
  const slots = traced.tensors;
  const first = new Map<string, number>();
  for (const { identity, members } of channelGroups(traced).groups) {
    const kind = members.map(({ tensor, axis, places }) => `${slots.get(tensor)} ${axis} ${places.length}`).join("\n");
    if (!first.has(kind)) first.set(kind, identity);
  }
  return new Set(first.values());
}

/** A value whose extents are not those foretold, in words, and the node that gives it. */
interface Fault {
  readonly found: string;
  readonly node: NodeSpec;
}

/** The first such value. */
function faultOf(before: TracedGraph, kept: readonly KeptPlaces[], after: TracedGraph): Fault | undefined {
  const found = new Map(
    after.plan.steps.flatMap(({ node, outputs }) =>
      outputs.map((slot, i) => [node.outputs[i] ?? "", after.plan.types[slot]!.shape] as const),
    ),
  );
  for (const { node, outputs } of before.plan.steps) {
    for (const [i, slot] of outputs.entries()) {
      const expected = keptShape(before.plan.types[slot]!.shape, kept[slot]!);
      const own = found.get(node.outputs[i] ?? "");
      if (own && own.join() !== expected.join()) {
        const found = `'${node.outputs[i]!.slice(0, 100)}' of ${node.op} is [${own.join(", ")}] where [${expected.join(", ")}] was foretold`;
        return { found, node };
      }
    }
  }
  return undefined;
}

/** Names that nothing in a graph has. */
function namer(graph: GraphSpec): (wanted: string) => string {
  const taken = new Set([
    ...graph.initializers.map(({ name }) => name),
    ...graph.inputs.map(({ name }) => name),
    ...graph.nodes.flatMap(({ name, outputs }) => [name, ...outputs]),
  ]);
  return (wanted) => {
    let name = wanted;
    for (let i = 1; taken.has(name); i++) name = `${wanted} ${i}`;
    taken.add(name);
    return name;
  };
}

function rewritten(
  graph: GraphSpec,
  edits: {
    readonly tensors: ReadonlyMap<GraphTensor, GraphTensor>;
    readonly folds: ReadonlyMap<NodeSpec, readonly NodeSpec[]>;
    readonly patch: Patch["nodes"];
    readonly added: readonly GraphTensor[];
  },
): GraphSpec {
  const { tensors, folds, patch, added } = edits;
  const constant = (node: NodeSpec): NodeSpec => {
    const { value } = node.attributes;
    const cut = typeof value === "object" && "dtype" in value ? tensors.get(value as GraphTensor) : undefined;
    return cut && cut !== value ? { ...node, attributes: { ...node.attributes, value: cut } } : node;
  };
  const nodes = graph.nodes.flatMap((node) => folds.get(node) ?? [constant(patch.get(node) ?? node)]);
  const [before, after] = [usedNames(graph), usedNames({ ...graph, nodes })];
  // What nothing reads since a bias or a shape has another name goes too.
  const isLeft = ({ name }: GraphTensor): boolean => after.has(name) || !before.has(name);
  const initializers = graph.initializers.filter(isLeft).map((tensor) => tensors.get(tensor) ?? tensor);
  return { ...graph, initializers: [...initializers, ...added], nodes };
}

/** Names that nodes, their bodies and the outputs read. */
function usedNames({ nodes, outputs }: Pick<GraphSpec, "nodes" | "outputs">): ReadonlySet<string> {
  const used = new Set(outputs.map(({ name }) => name));
  for (const { inputs, attributes } of nodes) {
    for (const name of inputs) used.add(name);
    for (const body of Object.values(attributes)) {
      if (typeof body === "object" && "nodes" in body) for (const name of usedNames(body)) used.add(name);
    }
  }
  return used;
}
