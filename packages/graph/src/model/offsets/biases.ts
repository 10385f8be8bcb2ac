/**
 * Biases of layers: a tensor that is added to the outputs of one weight alone and stands nowhere else, entry i to those of row i. In a graph it is the third
 * input of a Conv or a Gemm, or the constant of the Add behind a product.
 */
import type { Dtype, Vec } from "@secateur/core";
import type { GraphSpec, GraphTensor, NodeSpec } from "../../graph-spec.ts";
import { type GraphParam, usedNames } from "../../plan/params.ts";
import { sizeOf, tensorValue, type Value } from "../../value.ts";
import { soleTensors } from "../folded-norms.ts";

/** A tensor beside the weights that can be written. */
export interface WritableOffset {
  /** What a model reads and writes it by. */
  readonly name: string;
  readonly tensor: GraphTensor;
  /** Its numbers as they are now: what every plan reads. */
  readonly live: Value;
  /** As the file has them. */
  readonly original: Vec;
}

/** A bias that can be fitted and trained. */
export interface Bias extends WritableOffset {
  /** The value that has it added. */
  readonly output: string;
}

/**
 * Biases by the names of their weights.
 *
 * @param spec.taken - names that the model reads other tensors by, which a bias of the same name would hide
 */
export function findBiases(
  graph: GraphSpec,
  spec: { readonly params: readonly GraphParam[]; readonly dtype: Dtype; readonly taken: ReadonlySet<string> },
): ReadonlyMap<string, Bias> {
  const { params, dtype, taken } = spec;
  const sole = soleTensors(graph);
  const uses = new Map<string, number>();
  for (const name of usedNames(graph)) uses.set(name, (uses.get(name) ?? 0) + 1);
  const weights = new Set(params.map(({ tensor }) => tensor));
  const found = new Map<string, Bias>();
  for (const { name: param, live, uses: nodes } of params) {
    const [node, ...others] = nodes;
    if (!node || others.length > 0 || !graph.nodes.includes(node)) continue;
    const isScaled = node.op === "Gemm" && (node.attributes.alpha ?? 1) !== 1;
    const place = isScaled ? undefined : (placeOf(node) ?? behind(graph, node, uses));
    const tensor = place && sole.get(place.input);
    if (!tensor || weights.has(tensor) || taken.has(place.input)) continue;
    if (tensor.shape.at(-1) !== live.rows || sizeOf(tensor.shape) !== live.rows) continue;
    const value = tensorValue(tensor, dtype)!;
    const original = (value.data as Vec).slice();
    found.set(param, { name: place.input, tensor, live: value, original, output: place.output });
  }
  return found;
}

interface Place {
  readonly input: string;
  readonly output: string;
}

/** Of a node that adds a bias itself. */
function placeOf({ op, inputs, outputs, attributes }: NodeSpec): Place | undefined {
  const [, , input] = inputs;
  if (!input) return undefined;
  const isPlain = op === "Conv" || (op === "Gemm" && (attributes.beta ?? 1) === 1);
  return isPlain ? { input, output: outputs[0]! } : undefined;
}

/** Of a product whose output goes into one Add and nowhere else. */
function behind({ nodes }: GraphSpec, { op, outputs }: NodeSpec, uses: ReadonlyMap<string, number>): Place | undefined {
  const [sum] = outputs;
  if ((op !== "MatMul" && op !== "Gemm") || uses.get(sum!) !== 1) return undefined;
  const add = nodes.find((node) => node.op === "Add" && node.domain === "" && node.inputs.includes(sum!));
  const input = add?.inputs.find((name) => name !== sum);
  return add && input !== undefined ? { input, output: add.outputs[0]! } : undefined;
}
