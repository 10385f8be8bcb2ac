/** A graph with whole groups of channels at zero. */
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { stridesOf } from "../value.ts";
import type { ChannelGroup, GroupMember } from "./channel-groups.ts";

/** The graph with all numbers of some groups zero; tensors that these do not touch are the same objects. O(weights) a touched tensor. */
export function maskChannels(graph: GraphSpec, groups: readonly ChannelGroup[]): GraphSpec {
  const members = new Map<GraphTensor, GroupMember[]>();
  for (const member of groups.flatMap((group) => group.members)) {
    members.set(member.tensor, [...(members.get(member.tensor) ?? []), member]);
  }
  const masked = (tensor: GraphTensor): GraphTensor => {
    const own = members.get(tensor);
    return own ? withZeros(tensor, own) : tensor;
  };
  const constant = (node: NodeSpec): NodeSpec => {
    const { value } = node.attributes;
    if (node.op !== "Constant" || typeof value !== "object" || !members.has(value as GraphTensor)) return node;
    return { ...node, attributes: { ...node.attributes, value: masked(value as GraphTensor) } };
  };
  return { ...graph, initializers: graph.initializers.map(masked), nodes: graph.nodes.map(constant) };
}

/** Whether all of a member's numbers are zero. */
export function isZero({ tensor, axis, places }: GroupMember): boolean {
  const inside = insideOf(tensor, [{ tensor, axis, places }]);
  return tensor.data!.every((number, i) => Number(number) === 0 || !inside(i));
}

function withZeros(tensor: GraphTensor, members: readonly GroupMember[]): GraphTensor {
  const data = tensor.data!.slice();
  const inside = insideOf(tensor, members);
  for (let i = 0; i < data.length; i++) if (inside(i)) data[i] = 0;
  const { name, dtype, shape } = tensor;
  return { name, dtype, shape, data };
}

function insideOf({ shape }: GraphTensor, members: readonly GroupMember[]): (index: number) => boolean {
  const strides = stridesOf(shape);
  const gone = members.map(({ axis, places }) => ({
    inner: strides[axis]!,
    extent: shape[axis]!,
    set: new Set(places),
  }));
  return (index) => gone.some(({ inner, extent, set }) => set.has(Math.floor(index / inner) % extent));
}
