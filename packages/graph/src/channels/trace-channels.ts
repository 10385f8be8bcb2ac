/** The identities of the channels of every value of a graph, weights included: weights are taken as inputs, so that nothing of them is folded away. */
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { describeNode } from "../operators/node-facts.ts";
import { type Plan, planGraph } from "../plan/plan.ts";
import { isRecurrent } from "../plan/recurrent.ts";
import { type Kind, kindOfDtype, type Shape, sizeOf } from "../value.ts";
import { computedExtents } from "./computed-extents.ts";
import { type Axes, createIdentities, type Identities } from "./identities.ts";
import { needsPatch } from "./needs-patch.ts";
import { fixedAxes, frozen, type Traced } from "./rules/channel-rule.ts";
import { ruleOf } from "./rules/rule-table.ts";

/** A graph for inputs of given shapes. */
export interface ChannelSpec {
  readonly graph: GraphSpec;
  /** Versions of operator sets by domain. */
  readonly opsets: Readonly<Record<string, number>>;
  /** Shapes of all inputs, in which channels are followed; extents that vary may be any that the graph takes. */
  readonly shapes: ReadonlyMap<string, Shape>;
}

/** A graph with the channels of its values. */
export interface TracedGraph {
  readonly plan: Plan;
  readonly identities: Identities;
  /** Of every value of the plan, by number. */
  readonly axes: readonly Axes[];
  /** The tensors that may be cut, each with the number of its value. */
  readonly tensors: ReadonlyMap<GraphTensor, number>;
}

/**
 * Follows channels through a graph. O(places of all axes, times steps).
 *
 * @param stays - first outputs of nodes whose channels are not to be followed
 * @throws ERR_OPERATOR, ERR_GRAPH_NODE
 */
export function traceChannels(spec: ChannelSpec, stays: ReadonlySet<string> = new Set()): TracedGraph {
  const { graph, opsets, shapes } = spec;
  const found = cuttableTensors(graph);
  const open = opened(graph, found);
  const inputs = new Map([...shapes, ...[...found].map(([name, { shape }]) => [name, shape] as const)]);
  const kinds = new Map<string, Kind>(open.inputs.map(({ name, dtype }) => [name, kindOfDtype(dtype) ?? "real"]));
  const plan = planGraph({ graph: open, opsets, params: [], dtype: "f32", inputs, kinds, keepOrder: true });
  const identities = createIdentities();
  const axes: Axes[] = plan.types.map(({ shape }) => fixedAxes(shape));
  const tensors = new Map<GraphTensor, number>();
  const read = new Set(plan.steps.flatMap((step) => step.inputs));
  const computed = computedExtents(graph);
  for (const [name, tensor] of found) {
    const slot = plan.inputs.get(name)!;
    if (!read.has(slot)) continue;
    axes[slot] = tensor.shape.map((extent) => (extent > 1 ? identities.fresh(extent) : undefined));
    tensors.set(tensor, slot);
  }
  for (const { name } of graph.inputs) {
    const slot = plan.inputs.get(name)!;
    const { shape } = plan.types[slot]!;
    // Its channels are what weights meet: the second axis of images, the last of rows.
    const channels = shape.length < 3 ? shape.length - 1 : 1;
    axes[slot] = shape.map((extent, axis) => (axis === channels && extent > 1 ? identities.fresh(extent) : undefined));
    for (const axis of axes[slot]!) identities.fix(axis, `the input '${name.slice(0, 100)}'`);
  }
  const inner = bodiesOf(graph);
  const outer = new Set(graph.nodes);
  const said = new Set(["", ...constantNames(graph)]);
  const recurrents = graph.nodes.filter(isRecurrent);
  for (const step of plan.steps) {
    const { node, opset } = step;
    const own = outer.has(node) || inner.has(node) ? node : (recurrents.find(isFrom(node)) ?? node);
    const why = describeNode(own);
    const isStuck = stays.has(own.outputs[0]!) || stays.has(node.outputs[0]!) || (inner.has(node) && needsPatch(node));
    const made = (isStuck ? frozen : ruleOf(node))({
      ...{ node, opset, identities, why },
      isSaid: (i) => !outer.has(node) || said.has(node.inputs[i] ?? ""),
      inputs: step.inputs.map((slot) => {
        if (slot === undefined) return undefined;
        const known = plan.constants.get(slot);
        // The zeros that a recurrent operator starts from come anew with as many as are left.
        const isStart =
          !outer.has(node) && !inner.has(node) && known?.kind === "real" && known.data.every((x) => x === 0);
        if (isStart) axes[slot] = known.shape.map((extent) => (extent > 1 ? identities.fresh(extent) : undefined));
        return { ...plan.types[slot]!, axes: axes[slot]!, ...(known ? { data: known.data } : {}) };
      }),
      outputs: step.outputs.map((slot) => plan.types[slot]!),
    });
    step.outputs.forEach((slot, i) => {
      // The only place of an axis stays: tensors without numbers are of no use.
      axes[slot] = made[i]!.map((axis) => {
        if (axis?.length !== 1) return axis;
        identities.fix(axis, why);
        return undefined;
      });
      for (const extent of computed.get(node.outputs[i] ?? "") ?? []) {
        const taken = extent.axes ?? axes[slot]!.keys();
        for (const axis of taken) identities.fix(axes[slot]![axis], extent.why);
      }
    });
  }
  for (const [name, slot] of plan.outputs) {
    for (const axis of axes[slot]!) identities.fix(axis, `the output '${name.slice(0, 100)}'`);
  }
  return { plan, identities, axes, tensors };
}

/** A value for rules. */
export function tracedOf(
  slot: number | undefined,
  { plan, axes }: Pick<TracedGraph, "plan" | "axes">,
): Traced | undefined {
  if (slot === undefined) return undefined;
  const known = plan.constants.get(slot);
  return { ...plan.types[slot]!, axes: axes[slot]!, ...(known ? { data: known.data } : {}) };
}

/** Whether a node is of the body that a recurrent one is written out as. */
function isFrom({ name }: NodeSpec): (recurrent: NodeSpec) => boolean {
  return (recurrent) => name.startsWith(`${recurrent.name || recurrent.outputs[0]} `);
}

/** Tensors with channels that can be cut: real ones of more than one number, and what is dequantised, but for numbers that decide shapes. */
function cuttableTensors(graph: GraphSpec): ReadonlyMap<string, GraphTensor> {
  const decisive = new Set(
    graph.nodes.flatMap(({ op, domain, inputs }) =>
      domain === "" && /^(Resize|Upsample)$/.test(op) ? inputs.slice(1) : [],
    ),
  );
  const isCuttable = (name: string, { dtype, shape, data }: GraphTensor): boolean =>
    kindOfDtype(dtype) === "real" && data !== undefined && sizeOf(shape) > 1 && !decisive.has(name);
  const constants = graph.nodes.flatMap((node): readonly (readonly [string, GraphTensor])[] => {
    const { value } = node.attributes;
    const isTensor = node.op === "Constant" && node.domain === "" && typeof value === "object" && "dtype" in value;
    return isTensor ? [[node.outputs[0]!, value as GraphTensor]] : [];
  });
  const all = [...graph.initializers.map((tensor) => [tensor.name, tensor] as const), ...constants];
  return new Map(all.filter(([name, tensor]) => isCuttable(name, tensor)));
}

/** Names of all values that the file says itself. */
function constantNames(graph: GraphSpec): readonly string[] {
  const nodes = graph.nodes.filter(({ op, domain }) => op === "Constant" && domain === "");
  return [...graph.initializers.map(({ name }) => name), ...nodes.map(({ outputs }) => outputs[0]!)];
}

/** The graph with tensors as inputs. */
function opened(graph: GraphSpec, tensors: ReadonlyMap<string, GraphTensor>): GraphSpec {
  return {
    ...graph,
    nodes: graph.nodes.filter(({ op, outputs }) => op !== "Constant" || !tensors.has(outputs[0]!)),
    initializers: graph.initializers.filter(({ name }) => !tensors.has(name)),
    inputs: [...graph.inputs, ...[...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }))],
  };
}

/** The nodes of the bodies of If: they are not written anew, so what would have to be is left alone. */
function bodiesOf(graph: GraphSpec): ReadonlySet<NodeSpec> {
  const found = new Set<NodeSpec>();
  const walk = ({ nodes }: GraphSpec): void => {
    for (const node of nodes) {
      if (isRecurrent(node)) continue;
      for (const body of Object.values(node.attributes)) {
        if (typeof body !== "object" || !("nodes" in body)) continue;
        for (const one of body.nodes) found.add(one);
        walk(body);
      }
    }
  };
  walk(graph);
  return found;
}
