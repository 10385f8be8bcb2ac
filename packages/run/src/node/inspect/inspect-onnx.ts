/** What `secateur inspect` says of an ONNX model beside its tensors: what it takes, what it gives, which operators it is made of. */
import { decodeOnnx, detectFormat, type OnnxGraph, type OnnxValue } from "@secateur/formats";
import { formatCount, plainText } from "@secateur/report/text";

/** An input or output: an extent is a number, the name of a dimension that varies, or null for one without a name. */
export interface InspectedValue {
  readonly name: string;
  readonly dtype: string;
  readonly shape?: readonly (number | string | null)[];
}

/** The graph of an ONNX model. */
export interface InspectedGraph {
  readonly inputs: readonly InspectedValue[];
  readonly outputs: readonly InspectedValue[];
  /** Versions of operator sets by domain; "ai.onnx" is ONNX's own. */
  readonly opsets: Readonly<Record<string, number>>;
  /** How often each operator stands in the graph and its subgraphs. */
  readonly operators: Readonly<Record<string, number>>;
  /** Those that are not known here: the model is pruned by magnitude, and evaluated by onnxruntime. */
  readonly unknownOperators: readonly string[];
  /** Names of the weights that are pruned. */
  readonly prunable: readonly string[];
  /** Why the others stay dense. */
  readonly keptDense: readonly { readonly name: string; readonly reason: string }[];
}

/** Undefined where the bytes are no ONNX model. Data in other files are not read. @throws what decodeOnnx throws */
export async function inspectOnnx(bytes: Uint8Array, path: string): Promise<InspectedGraph | undefined> {
  if (detectFormat(bytes) !== "onnx") return undefined;
  const { createGraphModel } = await import("@secateur/graph");
  const model = decodeOnnx(bytes, path, () => undefined);
  const { inputs, outputs } = model.graph;
  const graph = createGraphModel({ graph: model.graph, opsets: model.opsets, name: path });
  return {
    inputs: inputs.map(described),
    outputs: outputs.map(described),
    opsets: Object.fromEntries(Object.entries(model.opsets).map(([domain, version]) => [domain || "ai.onnx", version])),
    operators: Object.fromEntries([...operatorsOf(model.graph)].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))),
    unknownOperators: [...graph.unknownOperators.keys()],
    prunable: graph.params().map(({ name }) => name),
    keptDense: graph.keptDense,
  };
}

function described({ name, dtype, shape }: OnnxValue): InspectedValue {
  return { name, dtype, ...(shape ? { shape } : {}) };
}

function operatorsOf({ nodes }: OnnxGraph, counts: Map<string, number> = new Map()): ReadonlyMap<string, number> {
  for (const { op, domain, attributes } of nodes) {
    const name = domain === "" ? op : `${domain}.${op}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
    for (const value of Object.values(attributes)) {
      for (const body of Array.isArray(value) ? value : [value]) {
        if (typeof body === "object" && "nodes" in body) operatorsOf(body as OnnxGraph, counts);
      }
    }
  }
  return counts;
}

/** The same for people; "?" is an extent without a name. */
export function inspectedGraphText({ inputs, outputs, opsets, operators, unknownOperators }: InspectedGraph): string {
  const value = (what: string) => (one: InspectedValue) => {
    const extents = one.shape?.map((extent) => extent ?? "?").join(", ");
    return `${what} ${plainText(one.name)}: ${plainText(one.dtype)} ${extents === undefined ? "of a shape that is not said" : plainText(`[${extents}]`)}`;
  };
  const counts = Object.entries(operators).map(([name, count]) => `${plainText(name)} ${formatCount(count)}`);
  const unknown = unknownOperators.map((name) => plainText(name)).join(", ");
  const sets = Object.entries(opsets).map(([domain, version]) => `${plainText(domain)} ${version}`);
  return [
    ...inputs.map(value("input")),
    ...outputs.map(value("output")),
    `operators (${sets.join(", ")}): ${counts.join(", ")}`,
    ...(unknown === "" ? [] : [`not known here: ${unknown}; magnitude prunes without them, onnxruntime evaluates`]),
    "",
  ].join("\n");
}
