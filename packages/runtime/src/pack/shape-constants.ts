/** Arithmetic on shapes, which exporters write between layers: whole numbers that follow from the extents of values, for one example. */
import type { OnnxLikeNode, OnnxLikeTensor } from "./lower-onnx.ts";

/**
 * The constant that a node on shapes gives.
 *
 * @param given - the constants of its inputs; undefined: computed, or left out
 * @param dims - extents of its first input, where that is computed
 * @returns undefined where the node is none of these, or reads what is computed
 */
export function shapeConstant(
  node: OnnxLikeNode,
  given: readonly (OnnxLikeTensor | undefined)[],
  dims: readonly number[] | undefined,
): OnnxLikeTensor | undefined {
  const whole = given.map((tensor) =>
    tensor && isWhole(tensor) ? Array.from(tensor.data as ArrayLike<bigint>, Number) : undefined,
  );
  const [first, second, third, , fifth] = whole;
  const make = (numbers: readonly number[], shape: readonly number[] = [numbers.length]): OnnxLikeTensor => ({
    name: node.outputs[0]!,
    dtype: "i64",
    shape,
    data: numbers,
  });
  if (node.op === "Shape")
    return dims && make(dims.slice(attribute(node, "start", 0), attribute(node, "end", dims.length)));
  if (!first) return undefined;
  switch (node.op) {
    case "Gather": {
      if (!second || attribute(node, "axis", 0) !== 0 || given[0]!.shape.length !== 1) return undefined;
      return make(
        second.map((index) => first[index < 0 ? index + first.length : index]!),
        given[1]!.shape,
      );
    }
    case "Slice":
      if (!second || !third || (fifth && fifth[0] !== 1) || given[0]!.shape.length !== 1) return undefined;
      return make(first.slice(second[0], Math.min(third[0]!, first.length)));
    case "Concat":
      return whole.every((part) => part !== undefined) ? make(whole.flat() as number[]) : undefined;
    case "Unsqueeze":
      return first.length === 1 ? make(first) : undefined;
    case "Squeeze":
      return first.length === 1 ? make(first, []) : undefined;
    case "Cast":
      return attribute(node, "to", 7) === 7 ? make(first, given[0]!.shape) : undefined;
    default:
      return undefined;
  }
}

function isWhole({ dtype, data }: OnnxLikeTensor): boolean {
  return data !== undefined && (dtype === "i64" || dtype === "i32");
}

function attribute({ attributes }: OnnxLikeNode, name: string, or: number): number {
  return typeof attributes[name] === "number" ? attributes[name] : or;
}
