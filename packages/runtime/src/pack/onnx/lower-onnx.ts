/**
 * ONNX graphs with fixed shapes as operators of a packed network. Give it what `foldGraph` of @secateur/graph makes of a model: no arithmetic
 * on shapes is left, branches are chosen, recurrent layers are written out. What has no operator here is refused by name.
 */
import { notPackable, quoted } from "../../errors.ts";
import type { PackedValue } from "../../file/packed-model.ts";
import type { PackGraph } from "../pack-graph.ts";
import { arithmetic } from "./arithmetic.ts";
import { createLowering, type Lowering, type OnnxLikeGraph, operatorName, type State } from "./lowering.ts";
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
 * A graph whose extents are all fixed. What works for a batch of any size is told from the same graph at two sizes: `openBatch`.
 *
 * @throws ERR_PACKED_GRAPH naming the node, what it is and what is allowed
 */
export function lowerOnnx(given: OnnxLikeGraph): PackGraph {
  const graph = withPatterns(given);
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
    return { name, dims };
  });
  return { inputs: state.inputs, outputs, operators: state.operators, tensors: state.tensors };
}

/** What is known inside by another name is given by the output's own. */
function nameOutput(spec: { name: string; value: string; dims: readonly number[]; state: State }): void {
  const { name, value, dims, state } = spec;
  const attributes = { dims: dims.map(() => 0) };
  state.operators.push({
    op: "Reshape",
    name: operatorName(name, state),
    inputs: [value],
    tensors: [],
    output: name,
    attributes,
  });
  state.values.set(name, { name, dims, phases: new Map() });
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
        throw notPackable(where, `its extent ${i} is left open`, "fix the shapes first, as foldGraph does");
      });
      values.set(name, { name, dims, phases: new Map() });
      return { name, dims, ...(isWhole ? { whole: true } : {}) };
    });
  const wholes = graph.wholes ?? new Set(inputs.flatMap(({ name, whole }) => (whole ? [name] : [])));
  const taken = new Set([
    ...graph.nodes.flatMap(({ outputs }) => outputs),
    ...[...graph.inputs, ...graph.initializers].map(({ name }) => name),
  ]);
  return {
    ...{ opset: graph.opset ?? 13, inputs, wholes, taken, operatorNames: new Set(), constants, values },
    ...{ names: new Map(), operators: [], tensors: new Map() },
  };
}
