/**
 * What is done number by number: functions of one value; Add and Mul of two of one shape, or of [n, c, h, w] and [n, c, 1, 1]; ScaleShift,
 * one scale and one shift (tensors) a channel of [n, c, ...] or a feature of [..., features].
 */
import type { Builder } from "../plan/builder.ts";
import { functions, kernels, realWord } from "../plan/kernel-numbers.ts";
import { flatRegion, geometryOf, originOf, type Region, uniteRows } from "../plan/region.ts";
import { productOf, type Value } from "../plan/value.ts";
import { activationWords, type OperatorKind, oneNumber, sameDims, shapeText } from "./operator.ts";

/** How a kernel walks a region: planes, their distance in bytes, vectors in each. A flat region is one plane. */
interface Walk {
  readonly count: number;
  readonly distance: () => number;
  readonly vectors: () => number;
  readonly mask: () => number;
}

function walkOf(region: Region, builder: Builder): Walk {
  const { planes, count } = region;
  if (!planes) return { count: 1, distance: () => 0, vectors: () => Math.ceil(count / 4), mask: () => 0 };
  return {
    count: planes.images * planes.channels,
    distance: () => 4 * geometryOf(planes).plane,
    vectors: () => geometryOf(planes).vectors,
    mask: () => builder.maskOf(region),
  };
}

/** The value as it is held already, and room for an output held the same way. */
function alike(value: Value, output: Value, builder: Builder): { from: Region; to: Region } {
  if (value.planes || (value.given && value.dims.length === 4)) {
    const from = builder.planes(value);
    const to = builder.newPlanes(output.dims);
    uniteRows(from.planes, to.planes);
    output.planes = to;
    return { from, to };
  }
  const to = flatRegion(productOf(output.dims));
  output.flat = to;
  return { from: builder.flat(value), to };
}

export function unary(name: keyof typeof functions): OperatorKind {
  return {
    inputs: [1, 1],
    tensors: [0, 0],
    dims(call) {
      if (name === "Clip" && !(oneNumber(call, "low") <= oneNumber(call, "high")))
        call.refuse("its low lies above its high");
      if (name === "HardSigmoid") oneNumber(call, "alpha", 0.2);
      return call.inputs[0]!.dims;
    },
    lower(call, output, builder) {
      const { from, to } = alike(call.inputs[0]!, output, builder);
      const [a, b] = [walkOf(from, builder), walkOf(to, builder)];
      const low = name === "Clip" ? oneNumber(call, "low") : name === "HardSigmoid" ? oneNumber(call, "alpha", 0.2) : 0;
      const high = name === "Clip" ? oneNumber(call, "high") : 0;
      builder.step({
        kernel: kernels.unary,
        units: () => b.count,
        reads: [from],
        writes: to,
        work: 8 * productOf(output.dims),
        words: () => [
          originOf(from),
          originOf(to),
          a.distance(),
          b.distance(),
          b.vectors(),
          b.mask(),
          functions[name],
          realWord(low),
          realWord(high),
        ],
      });
    },
  };
}

export function binary(isProduct: boolean): OperatorKind {
  return {
    inputs: [2, 2],
    tensors: [0, 0],
    dims(call) {
      const [a, b] = call.inputs;
      const perPlane = a!.dims.length === 4 && sameDims(b!.dims, [...a!.dims.slice(0, 2), 1, 1]);
      if (!perPlane && !sameDims(a!.dims, b!.dims))
        call.refuse(
          `it joins ${shapeText(a!.dims)} and ${shapeText(b!.dims)}; they have to be the same, or the second one number a channel`,
        );
      activationWords(call);
      return a!.dims;
    },
    lower(call, output, builder) {
      const [first, second] = call.inputs as readonly [Value, Value];
      const isPerPlane = !sameDims(first.dims, second.dims);
      if (isPerPlane) builder.planes(first);
      const { from, to } = alike(first, output, builder);
      const other = to.planes && !isPerPlane ? builder.planes(second) : builder.flat(second);
      if (to.planes && other.planes) uniteRows(other.planes, to.planes);
      const [a, b, c] = [walkOf(from, builder), walkOf(other, builder), walkOf(to, builder)];
      builder.step({
        kernel: kernels.binary,
        units: () => c.count,
        reads: [from, other],
        writes: to,
        work: productOf(output.dims),
        words: () => [
          ...[originOf(from), originOf(other), originOf(to)],
          ...[a.distance(), isPerPlane ? 4 : b.distance(), c.distance(), c.vectors()],
          ...[Number(isProduct), Number(isPerPlane), ...activationWords(call), c.mask()],
        ],
      });
    },
  };
}

export const scaleShift: OperatorKind = {
  inputs: [1, 1],
  tensors: [2, 2],
  dims(call) {
    const { dims } = call.inputs[0]!;
    const channels = dims.length === 4 ? dims[1]! : dims[dims.length - 1]!;
    for (const tensor of call.tensors) {
      if (!sameDims(tensor.dims, [channels]))
        call.refuse(`its tensor is ${shapeText(tensor.dims)} for ${channels} channels`);
    }
    activationWords(call);
    return dims;
  },
  lower(call, output, builder) {
    const value = call.inputs[0]!;
    const isVector = value.dims.length !== 4 && productOf(value.dims.slice(0, -1)) === 1;
    if (!isVector) builder.planes(value);
    const { from, to } = alike(value, output, builder);
    const [scale, shift] = call.tensors.map(({ data }) => builder.numbers(data));
    const [a, b] = [walkOf(from, builder), walkOf(to, builder)];
    const isByEntry = !to.planes;
    builder.step({
      kernel: kernels.affine,
      units: () => b.count,
      reads: [from],
      writes: to,
      work: productOf(output.dims),
      words: () => [
        ...[originOf(from), originOf(to), a.distance(), b.distance(), b.vectors(), scale!.address, shift!.address],
        ...[to.planes?.channels ?? 1, b.mask(), ...activationWords(call), Number(isByEntry)],
      ],
    });
  },
};
