/** Whether hidden units of a recurrent layer give 0 once their weights and biases are 0. */
import type { GraphSpec, NodeSpec } from "@secateur/graph";

/** Activations of new values that are 0 at 0; the gates' may be anything. */
const zeroAtZero: readonly string[] = ["tanh", "relu", "softsign"];
/** What hands values on that stand in its first input, or in all of them. */
const passing: readonly string[] = [
  "Expand",
  "Slice",
  "Squeeze",
  "Unsqueeze",
  "Reshape",
  "Transpose",
  "Tile",
  "Identity",
  "Cast",
];
/** Places of the initial states among a node's inputs. */
const states = [5, 6] as const;

/**
 * With usual activations and initial states that are zeros, also of a computed size, a unit without weights stays 0: new values are f(0) = 0, and nothing was there before.
 * What cannot be told counts as not zero.
 */
export function givesZeros({ op, inputs, attributes }: NodeSpec, graph: GraphSpec): boolean {
  const { activations } = attributes;
  // In the order gate, value and, of an LSTM, output, again for a second direction.
  const kinds = Array.isArray(activations) ? activations.map((name) => String(name).toLowerCase()) : [];
  const period = op === "LSTM" ? 3 : 2;
  const areZero = kinds.every((name, i) => i % period === 0 || zeroAtZero.includes(name));
  return areZero && states.every((place) => !inputs[place] || isZero(inputs[place], graph));
}

function isZero(name: string, graph: GraphSpec): boolean {
  const tensor = graph.initializers.find((one) => one.name === name);
  if (tensor)
    return tensor.data !== undefined && Array.from(tensor.data as ArrayLike<number>).every((x) => Number(x) === 0);
  const node = graph.nodes.find(({ outputs }) => outputs.includes(name));
  if (!node) return false;
  const { value } = node.attributes;
  if (node.op === "ConstantOfShape" || node.op === "Constant") {
    if (value === undefined) return node.op === "ConstantOfShape";
    const data = typeof value === "object" && "data" in value ? value.data : undefined;
    return data !== undefined && Array.from(data as ArrayLike<number>).every((x) => Number(x) === 0);
  }
  if (node.op === "Concat") return node.inputs.every((input) => isZero(input, graph));
  return passing.includes(node.op) && isZero(node.inputs[0] ?? "", graph);
}
