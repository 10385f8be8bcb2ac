/**
 * Extents that a graph computes with: where an entry of a Shape becomes a real number (attention divides by the root of a width), or an output, it is no
 * longer a mere extent, and the axis may not change. Extents that only shape other values follow by themselves.
 */
import type { GraphSpec, NodeSpec } from "../graph-spec.ts";
import { describeNode } from "../operators/node-facts.ts";

/** Axes whose extents are computed with; all where it is not known which. */
export interface ComputedExtent {
  readonly axes?: readonly number[];
  readonly why: string;
}

/** By name of the value whose shape is read. O(nodes) a Shape. */
export function computedExtents(graph: GraphSpec): ReadonlyMap<string, readonly ComputedExtent[]> {
  const users = new Map<string, NodeSpec[]>();
  for (const node of graph.nodes) for (const name of node.inputs) users.set(name, [...(users.get(name) ?? []), node]);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  /** The node in which a whole number becomes something else than an extent. */
  const escapeOf = (name: string, seen: Set<string>): NodeSpec | undefined => {
    if (seen.has(name)) return undefined;
    seen.add(name);
    for (const user of users.get(name) ?? []) {
      if (user.op === "Cast" && [1, 10, 11, 16].includes(Number(user.attributes.to))) return user;
      if (!isOfExtents(user)) continue;
      if (user.outputs.some((output) => outputs.has(output))) return user;
      for (const output of user.outputs) {
        const found = escapeOf(output, seen);
        if (found) return found;
      }
    }
    return undefined;
  };
  const found = new Map<string, ComputedExtent[]>();
  const constants = new Map(graph.initializers.map(({ name, data }) => [name, data]));
  for (const node of graph.nodes) {
    const value = node.attributes.value;
    if (node.op === "Constant" && typeof value === "object" && "dtype" in value)
      constants.set(node.outputs[0]!, value.data as undefined);
  }
  for (const shape of graph.nodes) {
    if (shape.op !== "Shape" && shape.op !== "Size") continue;
    const [name = ""] = shape.inputs;
    for (const user of users.get(shape.outputs[0]!) ?? []) {
      const where =
        escapeOf(user.outputs[0] ?? "", new Set()) ??
        (user.op === "Cast" ? escapeOf(shape.outputs[0]!, new Set()) : undefined);
      if (!where) continue;
      const taken = user.op === "Gather" ? constants.get(user.inputs[1] ?? "") : undefined;
      const axes = taken && Array.from(taken, Number);
      const isKnown = axes?.every((axis) => axis >= 0);
      found.set(name, [...(found.get(name) ?? []), { ...(isKnown ? { axes: axes! } : {}), why: describeNode(where) }]);
    }
  }
  return found;
}

/** Operators on whole numbers whose results may still be extents. */
const onExtents: ReadonlySet<string> = new Set(
  "Gather Slice Concat Unsqueeze Squeeze Reshape Cast Identity Add Sub Mul Div Mod Neg Abs Min Max Where Equal Floor Ceil ReduceProd Split".split(
    " ",
  ),
);

function isOfExtents({ op, domain }: NodeSpec): boolean {
  return domain === "" && onExtents.has(op);
}
