/**
 * A graph for inputs of given shapes as a graph again: nothing is left but what changes with the inputs. Chains of shapes are constants, an
 * If is one of its branches, LSTM and GRU are written out, and every value has fixed extents. What runs or stores a graph elsewhere reads it
 * so, and needs no arithmetic on shapes of its own.
 */
import type { GraphSpec, GraphTensor, NodeSpec, ValueSpec } from "../graph-spec.ts";
import { type Kind, sizeOf, type Value, type ValueType } from "../value.ts";
import { type PlanSpec, planGraph } from "./plan.ts";

/** Element types of values by their kind. */
const dtypes: Readonly<Record<Kind, string>> = { real: "f32", whole: "i64", truth: "bool" };

/**
 * Names stay where they are unique; a value of an inlined body whose name is taken gets a number behind it. Constants are f32, i64 or bool and
 * own their numbers. O(nodes), and what the constants cost.
 *
 * @returns the graph and the type of each value by name
 * @throws ERR_OPERATOR, ERR_GRAPH_NODE
 */
export function foldGraph(spec: Pick<PlanSpec, "graph" | "opsets" | "inputs" | "kinds">): {
  readonly graph: GraphSpec;
  readonly types: ReadonlyMap<string, ValueType>;
} {
  const plan = planGraph({ ...spec, params: [], dtype: "f32", keepOrder: true });
  const names = new Map<number, string>();
  const types = new Map<string, ValueType>();
  const give = (slot: number, wanted: string): string => {
    const before = names.get(slot);
    if (before !== undefined) return before;
    const base = wanted || `value ${slot}`;
    const name = types.has(base) ? `${base}#${slot}` : base;
    names.set(slot, name);
    types.set(name, plan.types[slot]!);
    return name;
  };
  for (const [name, slot] of plan.inputs) give(slot, name);
  const initializers: GraphTensor[] = [];
  const constant = (slot: number, wanted: string): string => {
    const isNew = !names.has(slot);
    const name = give(slot, wanted);
    if (isNew)
      initializers.push({
        ...tensorOf(name, plan.constants.get(slot)!),
        ...movedFrom(plan.origins.get(slot), name, plan.types[slot]!),
      });
    return name;
  };
  const nodes = plan.steps.map(({ node, inputs, outputs }): NodeSpec => {
    const read = inputs.map((slot, i) => {
      if (slot === undefined) return "";
      return plan.constants.has(slot) ? constant(slot, node.inputs[i] ?? "") : names.get(slot)!;
    });
    const written = outputs.map((slot, i) => (node.outputs[i] ? give(slot, node.outputs[i]) : ""));
    return { ...node, inputs: read, outputs: written };
  });
  const outputs = [...plan.outputs].map(([name, slot]): ValueSpec => {
    const own = plan.constants.has(slot) ? constant(slot, name) : names.get(slot)!;
    if (own !== name) {
      nodes.push({ name, op: "Identity", domain: "", inputs: [own], outputs: [name], attributes: {} });
      types.set(name, plan.types[slot]!);
    }
    return valueSpec(name, plan.types[slot]!);
  });
  const inputs = [...plan.inputs].map(([name, slot]) => valueSpec(name, plan.types[slot]!));
  return { graph: { name: spec.graph.name, nodes, initializers, inputs, outputs }, types };
}

function valueSpec(name: string, { kind, shape }: ValueType): ValueSpec {
  return { name, dtype: dtypes[kind], shape };
}

/** Which tensor a constant was made of by moving its numbers, or some of them. */
function movedFrom(origin: GraphTensor | undefined, name: string, { shape }: ValueType): Pick<GraphTensor, "source"> {
  if (!origin || origin.name === name) return {};
  return { source: { name: origin.name, share: sizeOf(shape) / Math.max(1, sizeOf(origin.shape)) } };
}

function tensorOf(name: string, { kind, shape, data }: Value): GraphTensor {
  const numbers = kind === "real" && !(data instanceof Float32Array) ? Float32Array.from(data) : data;
  return { name, dtype: dtypes[kind], shape, data: numbers };
}
