/**
 * What the layers of a model see that another runtime runs: the values that their weights are multiplied with are made outputs of a copy of the file, and
 * what is computed becomes the data of a graph of these layers alone, whose operators are known.
 */
import type { Batch, Dataset, LayerInputs, LayerInputsRequest, RunContext, Tensor } from "@secateur/core";
import { withOnnxOutputs } from "@secateur/formats";
import { createGraphModel, type GraphSpec, type NodeSpec } from "@secateur/graph";
import { noLayerInputsOutside } from "../../errors.ts";
import type { OuterModel, OuterRun } from "./onnxruntime.ts";

/** Operators whose inputs are asked for. */
const layerOperators = new Set(["Conv", "Gemm", "MatMul", "LSTM", "GRU"]);

/**
 * Hands out inputs weight by weight in the order of the graph, with the weights that are there then, or for "parallel" those at the beginning. Time: a pass of
 * the other runtime over the examples for each weight.
 *
 * @throws ERR_INCOMPATIBLE for a weight whose inputs cannot be had, and as `layerInputs` of graphs
 */
export async function* outerLayerInputs(
  { graph, fixed, opsets, encode }: OuterModel,
  open: (bytes: Uint8Array) => Promise<OuterRun>,
  { request, ctx }: { request: LayerInputsRequest; ctx: RunContext },
): AsyncGenerator<LayerInputs> {
  const layers = layersOf(fixed.graph);
  const dense = request.inputs === "parallel" ? encode() : undefined;
  const wanted = new Set(request.params);
  for (const param of graph.order.filter((name) => wanted.has(name))) {
    const own = layers.filter(({ weights }) => weights.has(param));
    if (own.length !== 1) {
      const found = own.length === 0 ? "no layer that is known here" : `${own.length} layers`;
      throw noLayerInputsOutside({ where: graph.name, param, found });
    }
    const { node, values, constants } = own[0]!;
    const names = new Set(fixed.graph.outputs.map(({ name }) => name));
    const run = await open(
      withOnnxOutputs(
        dense ?? encode(),
        values.filter((name) => !names.has(name)),
      ),
    );
    const valuesOf = (batch: Batch): Promise<Captured> => captured(run, { where: graph.name, param, values }, batch);
    const { inputs, split } = await valuesOf(await request.data.batch(request.examples.subarray(0, 1)));
    const spec = layerGraph(fixed.graph, { node, constants, inputs, split });
    const model = createGraphModel({ graph: spec, opsets, name: graph.name });
    const data: Dataset = {
      name: request.data.name,
      size: request.data.size,
      inputs: model.inputs,
      batch: async (indices) => {
        const batch = await request.data.batch(indices);
        return { size: indices.length, inputs: (await valuesOf(batch)).inputs };
      },
    };
    for await (const entry of model.layerInputs!({ ...request, params: [param], data }, ctx)) {
      const targets = entry.targets.map(({ offset, ...rows }) => {
        // Its own bias is the same tensor in the model; what stands behind it is not part of the layer's graph.
        return offset?.bias !== undefined && graph.biases.has(offset.bias) ? { ...rows, offset } : rows;
      });
      yield { ...entry, targets };
    }
  }
}

/** A node that multiplies values with constants. */
interface OuterLayer {
  readonly node: NodeSpec;
  /** Its inputs that are computed. */
  readonly values: readonly string[];
  /** Nodes that make its other inputs of constants alone. */
  readonly constants: readonly NodeSpec[];
  /** Constants that go into it. */
  readonly weights: ReadonlySet<string>;
}

function layersOf({ nodes, initializers }: GraphSpec): readonly OuterLayer[] {
  /** By value that follows from constants alone: those that it is made of, and by what. */
  const fixed = new Map<string, { readonly weights: readonly string[]; readonly nodes: readonly NodeSpec[] }>(
    initializers.map(({ name }) => [name, { weights: [name], nodes: [] }]),
  );
  const layers: OuterLayer[] = [];
  for (const node of nodes) {
    const given = node.inputs.filter((name) => name !== "");
    const known = given.flatMap((name) => fixed.get(name) ?? []);
    const own = { weights: known.flatMap(({ weights }) => weights), nodes: known.flatMap((one) => one.nodes) };
    if (known.length === given.length && node.domain === "") {
      const made = given.length === 0 ? [node.outputs[0]!] : own.weights;
      for (const output of node.outputs) fixed.set(output, { weights: made, nodes: [...own.nodes, node] });
    } else if (layerOperators.has(node.op) && node.domain === "" && known.length > 0) {
      const values = given.filter((name) => !fixed.has(name));
      layers.push({ node, values, constants: [...new Set(own.nodes)], weights: new Set(own.weights) });
    }
  }
  return layers;
}

/** Values of a batch, by name, with examples first. */
interface Captured {
  readonly inputs: Readonly<Record<string, Tensor<Float32Array>>>;
  /** Those that count several rows an example along their first axis, which stand behind the examples here. */
  readonly split: ReadonlySet<string>;
}

async function captured(
  run: OuterRun,
  { where, param, values }: { where: string; param: string; values: readonly string[] },
  batch: Batch,
): Promise<Captured> {
  const results = await run(batch);
  const split = new Set<string>();
  const inputs = Object.fromEntries(
    values.map((name) => {
      const { dims, data } = results[name]!;
      const [first = 1, ...rest] = dims;
      const perExample = first / batch.size;
      if (!Number.isInteger(perExample))
        throw noLayerInputsOutside({ where, param, found: `rows of ${first} for ${batch.size} examples` });
      if (perExample !== 1) split.add(name);
      const shape = perExample === 1 ? dims : [batch.size, perExample, ...rest];
      return [perExample === 1 ? name : `${name}/split`, { shape, data: Float32Array.from(data, Number) }] as const;
    }),
  );
  return { inputs, split };
}

/** One layer as a graph. */
function layerGraph(
  { initializers }: GraphSpec,
  at: { node: NodeSpec; constants: readonly NodeSpec[] } & Captured,
): GraphSpec {
  const { node, constants, inputs, split } = at;
  const joined = [...split].map((name) => {
    const rest = inputs[`${name}/split`]!.shape.slice(2);
    const shape = {
      name: `${name}/shape`,
      dtype: "i64",
      shape: [1 + rest.length],
      data: BigInt64Array.from([-1, ...rest], BigInt),
    };
    const reshape: NodeSpec = {
      ...{ name: `${name}/joined`, op: "Reshape", domain: "", attributes: {} },
      ...{ inputs: [`${name}/split`, shape.name], outputs: [name] },
    };
    return { shape, reshape };
  });
  const used = new Set([node, ...constants].flatMap((one) => one.inputs));
  return {
    name: "layer",
    nodes: [...constants, ...joined.map(({ reshape }) => reshape), node],
    initializers: [...initializers.filter(({ name }) => used.has(name)), ...joined.map(({ shape }) => shape)],
    inputs: Object.entries(inputs).map(([name, { shape }]) => {
      return { name, dtype: "f32", shape: ["batch", ...shape.slice(1)] };
    }),
    outputs: [{ name: node.outputs[0]!, dtype: "f32" }],
  };
}
