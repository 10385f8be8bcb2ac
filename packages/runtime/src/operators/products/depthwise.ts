/** Depthwise convolutions with a stride, which read the image as it lies: see assembly/depthwise.ts. */
import type { Builder } from "../../plan/builder.ts";
import { kernels } from "../../plan/kernel-numbers.ts";
import { geometryOf, needMargin, originOf, uniteRows } from "../../plan/region.ts";
import { productOf, type Value } from "../../plan/value.ts";
import { activationWords, type Call } from "../operator.ts";
import type { ConvShape } from "./conv-shape.ts";

/** Numbers of a vector. Narrower images are taken apart, as those of other strided convolutions are. */
const leastWidth = 4;

/** What tells whether a convolution is depthwise. */
export type DepthwiseShape = Pick<ConvShape, "outputs" | "inGroup" | "strides" | "dilations" | "group">;

/** Whether a convolution is depthwise with a stride, which taps over planes have to take the image apart for, and the kernel does it. */
export function isStridedDepthwise(
  { outputs, inGroup, strides, dilations, group }: DepthwiseShape,
  outDims: readonly number[],
): boolean {
  const isDepthwise = inGroup === 1 && outputs === group && dilations.every((dilation) => dilation === 1);
  return isDepthwise && outDims[3]! >= leastWidth && strides.some((stride) => stride > 1) && strides[1] <= 2;
}

/** Adds one step: out = activation(windows . weights + bias + residual). */
export function lowerDepthwise(
  { call, shape, output }: { readonly call: Call; readonly shape: ConvShape; readonly output: Value },
  builder: Builder,
): void {
  const { kernel, strides, pads, outputs } = shape;
  const from = builder.planes(call.inputs[0]!);
  const to = builder.newPlanes(output.dims);
  output.planes = to;
  const residual = call.inputs[1] ? builder.planes(call.inputs[1]) : undefined;
  if (residual) uniteRows(residual.planes, to.planes);
  const margin = (axis: 0 | 1, extent: number): number =>
    Math.max(pads[axis], strides[axis] * (output.dims[axis + 2]! - 1) + kernel[axis] - pads[axis] - extent);
  needMargin(from.planes, margin(0, from.planes.height), margin(1, from.planes.width));
  const [weights, bias] = [call.tensors[0]!.data, call.tensors[1]?.data ?? new Float32Array(outputs)].map((data) =>
    builder.numbers(data),
  );
  const activation = activationWords(call);
  const { images, channels, height, width } = to.planes;
  builder.step({
    kernel: kernels.depthwise,
    units: () => images * channels,
    reads: residual ? [from, residual] : [from],
    writes: to,
    readsPlanewise: from,
    work: productOf(output.dims) * kernel[0] * kernel[1],
    words: () => {
      const [source, target] = [geometryOf(from.planes), geometryOf(to.planes)];
      return [
        ...[originOf(from) - 4 * (pads[0] * source.stride + pads[1]), originOf(to), 4 * source.plane, 4 * target.plane],
        ...[4 * source.stride, 4 * target.stride, height, width, weights!.address, bias!.address],
        ...[channels, ...kernel, ...strides],
        ...(residual ? [originOf(residual), 4 * geometryOf(residual.planes).plane] : [0, 0]),
        ...activation,
      ];
    },
  });
}
