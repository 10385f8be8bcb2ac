/**
 * ONNX graphs with fixed shapes as operators of a packed network. Give it what `foldGraph` of @secateur/graph makes of a model: no arithmetic
 * on shapes is left, branches are chosen, recurrent layers are written out. What has no operator here is refused by name.
 */
import { notPackable, quoted } from "../../errors.ts";
import type { PackedValue } from "../../file/packed-model.ts";
import { valueDims, withBatch } from "../../plan/value-dims.ts";
import type { PackGraph } from "../pack-graph.ts";
import { arithmetic } from "./arithmetic.ts";
import { createLowering, type Lowering, type OnnxLikeGraph, type State } from "./lowering.ts";
import { moving } from "./moving.ts";
import { withPatterns } from "./patterns.ts";
import { products } from "./products.ts";
import { rows } from "./rows.ts";
import { windows } from "./windows.ts";

/** How each kind of node is lowered. */
const kinds: Readonly<Record<string, (low: Lowering) => void>> = {
  ...arithmetic,
  ...moving,
  ...products,
  ...rows,
  ...windows,
};

/** The kinds of nodes that can be packed, in order of the alphabet. */
export const packableOperators: readonly string[] = Object.keys(kinds).sort();

/**
 * Inputs may leave their first extent open ("batch"); where the graph then works for one example only, it is fixed at one.
 *
 * @throws ERR_PACKED_GRAPH naming the node, what it is and what is allowed
 */
export function lowerOnnx(graph: OnnxLikeGraph): PackGraph {
  const open = lowered(withPatterns(graph));
  if (!open.inputs.some(({ dims }) => dims[0] === "batch") || worksFor(open, 2)) return open;
  const fixed = graph.inputs.map((input) => ({ ...input, shape: [1, ...(input.shape ?? []).slice(1)] }));
  return lowered(withPatterns({ ...graph, inputs: fixed }));
}

function lowered(graph: OnnxLikeGraph): PackGraph {
  const state = startState(graph);
  for (const node of graph.nodes) {
    const low = createLowering(node, state);
    if (node.domain !== "" && node.domain !== "ai.onnx") low.refuse(`it is of the domain ${quoted(node.domain)}`);
    const lower = Object.hasOwn(kinds, node.op) ? kinds[node.op]! : undefined;
    if (lower) lower(low);
    else low.refuse("the packer has no such operator; prune works on it all the same, and onnxruntime runs it");
  }
  const outputs = graph.outputs.map(({ name }): PackedValue => {
    const value = state.names.get(name) ?? name;
    const dims = state.values.get(value)?.dims;
    if (!dims) throw notPackable(`output ${quoted(name)}`, "it is a constant");
    if (value !== name) nameOutput({ name, value, dims, state });
    return { name, dims: state.isBatched && dims[0] === 1 ? ["batch", ...dims.slice(1)] : dims };
  });
  return { inputs: state.inputs, outputs, operators: state.operators, tensors: state.tensors };
}

/** What is known inside by another name is given by the output's own. */
function nameOutput(spec: { name: string; value: string; dims: readonly number[]; state: State }): void {
  const { name, value, dims, state } = spec;
  const attributes = { dims: dims.map(() => 0) };
  state.operators.push({ op: "Reshape", name, inputs: [value], tensors: [], output: name, attributes });
  state.values.set(name, { name, dims, phases: new Map() });
}

/** Whether a graph that was lowered for one example gives the extents it promises for several. */
function worksFor(graph: PackGraph, batch: number): boolean {
  try {
    const dims = valueDims(graph, batch);
    return graph.outputs.every(({ name, dims: promised }) => {
      return withBatch(promised, batch).join() === dims.get(name)!.join() && promised[0] === "batch";
    });
  } catch {
    return false;
  }
}

function startState(graph: OnnxLikeGraph): State {
  const constants = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const values: State["values"] = new Map();
  const inputs = graph.inputs
    .filter(({ name }) => !constants.has(name))
    .map(({ name, dtype, shape }): PackedValue => {
      const where = `input ${quoted(name)}`;
      const isWhole = dtype === "i64" || dtype === "i32";
      if (dtype !== "f32" && !isWhole)
        throw notPackable(
          where,
          `it is of ${dtype}; the runtime takes f32 and whole numbers`,
          "export the model with such inputs",
        );
      const dims = (shape ?? []).map((extent, i) => {
        if (typeof extent === "number") return extent;
        if (i === 0) return "batch" as const;
        const remedy = `say how large, for example --input-shape ${name}=${exampleShape(shape!)}`;
        throw notPackable(where, `its extent ${i} is left open; only the first may be`, remedy);
      });
      values.set(name, { name, dims: dims.map((extent) => (extent === "batch" ? 1 : extent)), phases: new Map() });
      return { name, dims, ...(isWhole ? { whole: true } : {}) };
    });
  const isBatched = inputs.some(({ dims }) => dims[0] === "batch");
  return {
    opset: graph.opset ?? 13,
    inputs,
    isBatched,
    constants,
    values,
    names: new Map(),
    operators: [],
    tensors: new Map(),
  };
}

function exampleShape(shape: readonly (number | string | null)[]): string {
  return shape.map((extent, i) => (typeof extent === "number" ? extent : i === 0 ? 1 : 32)).join("x");
}
