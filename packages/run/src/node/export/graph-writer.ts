/** Writes the nodes of a new ONNX graph, each under a name of its own. */
import type { NewOnnxModel, OnnxNode } from "@secateur/formats";

type NewNode = OnnxNode & { readonly floats?: readonly string[] };
type NewTensor = NewOnnxModel["graph"]["initializers"][number];

/** A graph while it is written. */
export interface GraphWriter {
  readonly nodes: NewNode[];
  readonly initializers: NewTensor[];
  /** Adds a node; returns the name of its output. @param floats - attributes that are floats even where they are whole */
  node(
    op: string,
    inputs: readonly string[],
    attributes?: NewNode["attributes"],
    output?: string,
    floats?: readonly string[],
  ): string;
  /** Adds a constant; returns its name. */
  whole(...numbers: readonly number[]): string;
  real(number: number): string;
  reals(...numbers: readonly number[]): string;
}

/** An empty graph. @param reserved - names that inputs, outputs and weights have, which nothing else gets */
export function graphWriter(reserved: Iterable<string> = []): GraphWriter {
  const taken = new Set(reserved);
  const free = (wanted: string): string => {
    let name = wanted;
    for (let i = 1; taken.has(name); i++) name = `${wanted}_${i}`;
    taken.add(name);
    return name;
  };
  const nodes: NewNode[] = [];
  const initializers: NewTensor[] = [];
  const constant = (tensor: {
    dtype: "f32" | "i64";
    shape: readonly number[];
    data: Float32Array | BigInt64Array;
  }): string => {
    const name = free(`constant_${initializers.length}`);
    initializers.push({ ...tensor, name } as NewTensor);
    return name;
  };
  return {
    nodes,
    initializers,
    node(op, inputs, attributes = {}, asked = undefined, floats = []) {
      const output = asked ?? free(`${op.toLowerCase()}_${nodes.length}`);
      nodes.push({ name: `${op}_${nodes.length}`, op, domain: "", inputs, outputs: [output], attributes, floats });
      return output;
    },
    whole: (...numbers) =>
      constant({ dtype: "i64", shape: [numbers.length], data: BigInt64Array.from(numbers, BigInt) }),
    real: (number) => constant({ dtype: "f32", shape: [], data: Float32Array.of(number) }),
    reals: (...numbers) => constant({ dtype: "f32", shape: [numbers.length], data: Float32Array.from(numbers) }),
  };
}

/** x Phi(x), Phi the normal distribution function. */
export function gelu({ node, real }: GraphWriter, x: string): string {
  const erf = node("Erf", [node("Mul", [x, real(Math.SQRT1_2)])]);
  return node("Mul", [node("Mul", [x, real(0.5)]), node("Add", [erf, real(1)])]);
}
