/** MatMul of two computed values, as numpy's matmul: [..., rows, inner] times [..., inner, columns], with leading extents stretched. */
import { kernels } from "../../plan/kernel-numbers.ts";
import { type MergedIndices, mergeIndices } from "../../plan/merge-indices.ts";
import { flatRegion } from "../../plan/region.ts";
import { productOf, stretched, stretchedDims, type Value } from "../../plan/value.ts";
import { type Call, type OperatorKind, shapeText } from "../operator.ts";

export const matMul: OperatorKind = {
  inputs: [2, 2],
  tensors: [0, 0],
  dims(call) {
    const [a, b] = call.inputs as readonly [Value, Value];
    const leading = stretchedDims(a.dims.slice(0, -2), b.dims.slice(0, -2));
    const isRight = leading && a.dims.length >= 2 && b.dims.length >= 2 && a.dims.at(-1) === b.dims.at(-2);
    if (!isRight) return call.refuse(`it multiplies ${shapeText(a.dims)} by ${shapeText(b.dims)}`);
    leadingOf(call, leading);
    return [...leading, a.dims.at(-2)!, b.dims.at(-1)!];
  },
  lower(call, output, builder) {
    const [a, b] = call.inputs as readonly [Value, Value];
    const [rows, inner, columns] = [a.dims.at(-2)!, a.dims.at(-1)!, b.dims.at(-1)!];
    const merged = leadingOf(call, output.dims.slice(0, -2));
    const [first, second] = [builder.flat(a), builder.flat(b)];
    const to = flatRegion(productOf(output.dims));
    output.flat = to;
    const [, , outer, within] = merged.extents;
    const bytes = (list: readonly number[]): number[] => list.slice(2).map((step) => 4 * step);
    builder.step({
      kernel: kernels.matrix,
      units: () => outer * within * Math.ceil(rows / 4),
      reads: [first, second],
      writes: to,
      work: productOf(output.dims) * inner,
      words: () => [
        ...[first.address, second.address, to.address, rows, inner, columns, outer, within],
        ...[...bytes(merged.steps[0]!), ...bytes(merged.steps[1]!)],
      ],
    });
  },
};

/** How the matrices of both inputs are walked. @throws ERR_PACKED_GRAPH where that takes more than two indices */
function leadingOf(call: Call, leading: readonly number[]): MergedIndices {
  const [a, b] = call.inputs as readonly [Value, Value];
  const steps = [a, b].map(({ dims }) =>
    stretched(dims.slice(0, -2), leading).map((step) => step * dims.at(-2)! * dims.at(-1)!),
  );
  const merged = mergeIndices(leading, steps);
  if (merged && merged.extents[0] * merged.extents[1] === 1) return merged;
  return call.refuse(`it stretches ${shapeText(a.dims)} and ${shapeText(b.dims)} along more than two indices`);
}
