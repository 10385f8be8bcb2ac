/** Constants that channels added before they went: they go into biases, b' = b + sum over what goes of W_k c_k. */
import type { GraphTensor, NodeSpec } from "../graph-spec.ts";
import { sizeOf } from "../value.ts";
import type { ChannelValues } from "./channel-values.ts";
import type { KeptPlaces } from "./kept-places.ts";
import type { ChannelSum } from "./removable-channels.ts";
import { numberOf } from "./rules/channel-rule.ts";
import type { TracedGraph } from "./trace-channels.ts";

/** Nodes with new biases, and these. */
export interface Folds {
  readonly nodes: ReadonlyMap<NodeSpec, readonly NodeSpec[]>;
  readonly added: readonly GraphTensor[];
}

/** What sums of products take over from channels that go. */
export function foldConstants(spec: {
  readonly traced: TracedGraph;
  readonly values: ChannelValues;
  readonly sums: readonly ChannelSum[];
  readonly kept: readonly KeptPlaces[];
  readonly freshName: (wanted: string) => string;
}): Folds {
  const { values, sums, kept, freshName } = spec;
  const nodes = new Map<NodeSpec, readonly NodeSpec[]>();
  const added: GraphTensor[] = [];
  for (const sum of sums) {
    const { step, slot, axis, canFold } = sum;
    const stays = kept[slot]![axis];
    if (!canFold || !stays) continue;
    const numbers = values.known[slot]![axis];
    const isKept = new Set(stays);
    const folded = Array.from(numbers ?? [], (number, place) =>
      isKept.has(place) || !Number.isFinite(number) ? 0 : number,
    );
    if (folded.every((number) => number === 0)) continue;
    const [out, outKept] = outputsOf(sum, spec);
    const { node } = step;
    const before = step.inputs[2] === undefined ? undefined : values.tensors.get(step.inputs[2])!;
    const scale = node.op === "Gemm" ? numberOf(step, "alpha", 1) / numberOf(step, "beta", 1) : 1;
    const whole = Float64Array.from({ length: out }, (_, o) => {
      const own = before ? before.data[before.data.length === 1 ? 0 : o]! : 0;
      return own + scale * addedTo(sum, { o, folded, values });
    });
    const places = outKept ?? Uint32Array.from({ length: out }, (_, i) => i);
    const name = freshName(`${node.name || node.outputs[0]} bias`);
    added.push({
      name,
      dtype: "f32",
      shape: [places.length],
      data: Float32Array.from(places, (place) => whole[place]!),
    });
    nodes.set(
      node,
      node.op === "MatMul"
        ? withAdd(node, name, freshName)
        : [{ ...node, inputs: [node.inputs[0]!, node.inputs[1]!, name] }],
    );
  }
  return { nodes, added };
}

function withAdd(node: NodeSpec, bias: string, freshName: (wanted: string) => string): readonly NodeSpec[] {
  const [output = ""] = node.outputs;
  const product = freshName(`${output} product`);
  const add = {
    name: freshName(`${node.name || output} bias added`),
    op: "Add",
    domain: "",
    inputs: [product, bias],
    outputs: [output],
    attributes: {},
  };
  return [{ ...node, outputs: [product] }, add];
}

/** How many outputs a sum has, and which of them stay. */
function outputsOf(
  { step }: ChannelSum,
  { kept, traced }: { kept: readonly KeptPlaces[]; traced: TracedGraph },
): readonly [number, Uint32Array | undefined] {
  const [output] = step.outputs as readonly [number];
  const { shape } = traced.plan.types[output]!;
  const axis = step.node.op === "Conv" ? 1 : shape.length - 1;
  return [shape[axis]!, kept[output]![axis]];
}

/** sum over k of W[o, k] c_k, over all taps. */
function addedTo(
  { step, weight }: ChannelSum,
  { o, folded, values }: { o: number; folded: readonly number[]; values: ChannelValues },
): number {
  const { shape, data } = values.tensors.get(weight!.slot)!;
  const taps = step.node.op === "Conv" ? sizeOf(shape.slice(2)) : 1;
  const outFirst = weight!.axis === 1;
  const [outputs, inputs] = outFirst ? [shape[0]!, shape[1]!] : [shape[1]!, shape[0]!];
  let sum = 0;
  for (let k = 0; k < inputs; k++) {
    if (folded[k] === 0) continue;
    for (let t = 0; t < taps; t++) sum += folded[k]! * data[(outFirst ? o * inputs + k : k * outputs + o) * taps + t]!;
  }
  return sum;
}
