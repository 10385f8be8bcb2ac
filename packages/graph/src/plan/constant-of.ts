import { badNode } from "../errors.ts";
import type { GraphTensor, NodeSpec } from "../graph-spec.ts";
import { describeNode } from "../operators/node-facts.ts";
import type { Shape } from "../value.ts";

/** The tensor of a Constant node, whichever attribute has it. */
export function constantOf(node: NodeSpec): GraphTensor {
  const { value, value_float, value_floats, value_int, value_ints } = node.attributes;
  if (typeof value === "object" && "dtype" in value) return value;
  const list = (numbers: unknown): readonly number[] => numbers as readonly number[];
  const of = (dtype: string, data: GraphTensor["data"], shape: Shape): GraphTensor => ({
    name: node.outputs[0]!,
    dtype,
    shape,
    ...(data ? { data } : {}),
  });
  if (typeof value_float === "number") return of("f32", Float32Array.of(value_float), []);
  if (typeof value_int === "number") return of("i64", Float64Array.of(value_int), []);
  if (value_floats) return of("f32", Float32Array.from(list(value_floats)), [list(value_floats).length]);
  if (value_ints) return of("i64", Float64Array.from(list(value_ints)), [list(value_ints).length]);
  throw badNode({ node: describeNode(node), found: "a constant that is no number", expected: "numbers" });
}
