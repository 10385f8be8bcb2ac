/** The output channels of a graph's weights that can only go together, as sets that a model is pruned by. */
import type { CostFactor } from "@secateur/core";
import {
  channelGroups,
  findParams,
  type GraphParam,
  type GraphSpec,
  type GraphTensor,
  type GroupMember,
  type TracedGraph,
} from "@secateur/graph";
import type { ChannelSet } from "../../prune/coupled-places.ts";
import { givesZeros } from "./silent-units.ts";

/** Sets, and weights that are in none, with what keeps their channels. */
export interface ChannelSets {
  readonly sets: readonly ChannelSet[];
  readonly kept: readonly { readonly param: string; readonly why: string }[];
  readonly extents: ChannelExtents;
  /** Weights of recurrent layers in sets whose units do not give 0 without weights: by biases that cannot be written, initial states or activations. */
  readonly recurrent: readonly string[];
}

/** How the extents of weights follow from the groups that are left. */
export interface ChannelExtents {
  /** By parameter: every axis of its stored tensor, and which of them the outputs are. */
  readonly params: ReadonlyMap<string, { readonly axes: readonly CostFactor[]; readonly rowAxis: number }>;
  /** Groups of each set. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Rows of weights, by name, that go with one group. */
interface Group {
  readonly rows: ReadonlyMap<string, Uint32Array>;
  readonly offsets: ReadonlyMap<string, Uint32Array>;
  readonly size: number;
  /** All that goes with the group, also what only reads it. */
  readonly members: readonly GroupMember[];
}

/** A set and the groups that it is made of. */
interface SetOfGroups {
  readonly set: ChannelSet;
  readonly groups: readonly Group[];
}

/**
 * The sets of a graph.
 *
 * @param spec.pruned - weights that may be pruned; a group with any other weight among those that make it stays
 * @param spec.offsets - vectors, and biases of recurrent layers, that can be set to zero with a group, among the graph's tensors
 */
export function channelSets(spec: {
  readonly graph: GraphSpec;
  readonly traced: TracedGraph;
  readonly pruned: ReadonlySet<string>;
  readonly offsets: ReadonlySet<string>;
}): ChannelSets {
  const { graph, traced, pruned } = spec;
  const params = new Map(findParams(graph, "f32").params.map((param) => [param.tensor, param]));
  const { groups, frozen } = channelGroups(traced);
  const found = groups.flatMap(({ members }): readonly Group[] => {
    const rows = new Map<string, Uint32Array>();
    const offsets = new Map<string, Uint32Array>();
    let size = 0;
    for (const { tensor, axis, places } of members) {
      const param = params.get(tensor);
      if (param && axis === rowAxis(param)) {
        if (!pruned.has(param.name) || (param.order.kind === "conv-transpose" && param.order.groups > 1)) return [];
        const own = rowsAt(param, places);
        rows.set(param.name, own);
        size += own.length * param.live.cols;
      } else if (spec.offsets.has(tensor.name) && axis === tensor.shape.length - 1)
        offsets.set(tensor.name, inEveryDirection(tensor, places));
    }
    return rows.size > 0 ? [{ rows, offsets, size, members }] : [];
  });
  const made = disjointSets(found);
  const sets = made.map(({ set }) => set);
  const inSets = new Set(sets.flatMap(({ members }) => members.map(({ param }) => param)));
  const kept = [...params.values()]
    .filter(({ name }) => pruned.has(name) && !inSets.has(name))
    .map((param) => ({ param: param.name, why: whyKept(param.tensor, rowAxis(param), frozen) }));
  const recurrent = [...params.values()].filter(({ name, uses }) => {
    const keepsOn = uses.some((node) => {
      const [, , , bias] = node.inputs;
      return isRecurrent(node) && ((bias && !spec.offsets.has(bias)) || !givesZeros(node, graph));
    });
    return inSets.has(name) && keepsOn;
  });
  return { sets, kept, extents: extentsOf(made, params), recurrent: recurrent.map(({ name }) => name) };
}

/** An axis as its groups are counted. */
interface GrowingFactor {
  fixed: number;
  readonly units: Record<string, number>;
  isMean?: boolean;
}

/** Of every group of a set as many places of an axis are taken to go, the mean where they differ. */
function extentsOf(made: readonly SetOfGroups[], params: ReadonlyMap<GraphTensor, GraphParam>): ChannelExtents {
  const axes = new Map(
    [...params.keys()].map((tensor) => [
      tensor,
      tensor.shape.map((extent): GrowingFactor => ({ fixed: extent, units: {} })),
    ]),
  );
  for (const { set, groups } of made) {
    const gone = new Map<GroupMember["tensor"], Map<number, number[]>>();
    for (const { tensor, axis, places } of groups.flatMap(({ members }) => members)) {
      const own = gone.get(tensor) ?? new Map<number, number[]>();
      gone.set(tensor, own.set(axis, [...(own.get(axis) ?? []), places.length]));
    }
    for (const [tensor, byAxis] of gone) {
      for (const [axis, counts] of byAxis) {
        const places = counts.reduce((sum, count) => sum + count, 0);
        const own = axes.get(tensor)?.[axis];
        if (!own) continue;
        // Places that may go with either of two groups are counted with both, and never below none.
        own.fixed = Math.max(0, own.fixed - places);
        own.units[set.name] = places / groups.length;
        if (counts.length < groups.length || counts.some((count) => count !== counts[0])) own.isMean = true;
      }
    }
  }
  return {
    params: new Map(
      [...params].map(([tensor, param]) => [param.name, { axes: axes.get(tensor)!, rowAxis: rowAxis(param) }]),
    ),
    counts: new Map(made.map(({ set }) => [set.name, set.count])),
  };
}

/** The axis of the stored tensor that the rows of the canonical matrix are; of a recurrent layer the second of [directions, gates * hidden, in]. */
export function rowAxis({ order, uses }: Pick<GraphParam, "order" | "uses">): number {
  return order.kind === "as-stored" && !uses.some(isRecurrent) ? 0 : 1;
}

function isRecurrent({ op }: GraphParam["uses"][number]): boolean {
  return op === "LSTM" || op === "GRU";
}

/** Rows of the canonical matrix at places of that axis: of both directions of a recurrent layer. */
function rowsAt({ tensor, uses }: GraphParam, places: Uint32Array): Uint32Array {
  return uses.some(isRecurrent) ? inEveryDirection(tensor, places) : places;
}

/** Places of the second axis of [directions, extent, ...], counted through both; those of a vector. */
function inEveryDirection({ shape }: Pick<GraphTensor, "shape">, places: Uint32Array): Uint32Array {
  const [directions = 1, extent = 0] = shape;
  if (shape.length === 1 || directions === 1) return places;
  return Uint32Array.from({ length: directions * places.length }, (_, i) => {
    return Math.floor(i / places.length) * extent + places[i % places.length]!;
  });
}

function whyKept(tensor: GraphTensor, axis: number, frozen: ReturnType<typeof channelGroups>["frozen"]): string {
  return frozen.find((one) => one.tensor === tensor && one.axis === axis)?.why ?? "other channels that it goes with";
}

/** Groups of one make are a set; where sets overlap, as heads and what each head holds do, the one of the larger groups counts. */
function disjointSets(groups: readonly Group[]): readonly SetOfGroups[] {
  const kinds = new Map<string, Group[]>();
  for (const group of groups) {
    const key = [...group.rows].map(([param, rows]) => `${param} ${rows.length}`).join("\n");
    kinds.set(key, [...(kinds.get(key) ?? []), group]);
  }
  const taken = new Set<string>();
  const names = new Set<string>();
  const order = [...kinds.values()];
  const isFree = (set: readonly Group[]): boolean => {
    const own = set.flatMap(({ rows }) =>
      [...rows].flatMap(([param, list]) => Array.from(list, (row) => `${row} ${param}`)),
    );
    if (new Set(own).size < own.length || own.some((row) => taken.has(row))) return false;
    for (const row of own) taken.add(row);
    return true;
  };
  const free = new Set(
    [...order].sort((a, b) => b[0]!.size - a[0]!.size).filter((set) => set.length > 1 && isFree(set)),
  );
  return order
    .filter((set) => free.has(set))
    .map((own): SetOfGroups => {
      const [{ rows, offsets }] = own as [Group];
      const [first = "", ...others] = rows.keys();
      const base = others.length === 0 ? first : `${first}+${others.length}`;
      let name = base;
      for (let i = 2; names.has(name); i++) name = `${base}#${i}`;
      names.add(name);
      const set: ChannelSet = {
        ...{ name, count: own.length },
        members: [...rows.keys()].map((param) => ({ param, rows: own.map((group) => group.rows.get(param)!) })),
        offsets: [...offsets.keys()].map((vector) => ({
          name: vector,
          places: own.map((group) => group.offsets.get(vector) ?? new Uint32Array(0)),
        })),
      };
      return { set, groups: own };
    });
}
