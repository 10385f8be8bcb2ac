/**
 * What is done number by number: functions of one value; Add, Mul, Sub, Div, Min and Max of two, and Keep (the first where the second is not zero, else 0), stretched to each other by numpy's rule
 * (planes, and one number for each, stay planes); ScaleShift, one scale and one shift (tensors) a channel of [n, c, h, w] or a feature of
 * [..., features].
 */
import type { Builder } from "../plan/builder.ts";
import { kernels, operations } from "../plan/kernel-numbers.ts";
import { type MergedIndices, mergeIndices } from "../plan/merge-indices.ts";
import { flatRegion, geometryOf, originOf, type Region, uniteRows } from "../plan/region.ts";
import { matrixOf, productOf, stretched, stretchedDims, type Value } from "../plan/value.ts";
import {
  activationWords,
  type Call,
  type FunctionName,
  functionWords,
  type OperatorKind,
  sameDims,
  shapeText,
} from "./operator.ts";

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

export function unary(name: FunctionName): OperatorKind {
  return {
    inputs: [1, 1],
    tensors: [0, 0],
    dims(call) {
      functionWords(call, name);
      return call.inputs[0]!.dims;
    },
    lower(call, output, builder) {
      const { from, to } = alike(call.inputs[0]!, output, builder);
      const [a, b] = [walkOf(from, builder), walkOf(to, builder)];
      builder.step({
        kernel: kernels.unary,
        units: () => b.count,
        reads: [from],
        writes: to,
        work: unaryWork * productOf(output.dims),
        words: () => [
          originOf(from),
          originOf(to),
          a.distance(),
          b.distance(),
          b.vectors(),
          b.mask(),
          ...functionWords(call, name),
        ],
      });
    },
  };
}

/** How heavy one number of a function is, in multiply-adds. */
const unaryWork = 8;

export function binary(name: keyof typeof operations): OperatorKind {
  return {
    inputs: [2, 2],
    tensors: [0, 0],
    dims(call) {
      const [a, b] = call.inputs;
      activationWords(call);
      const dims = stretchedDims(a!.dims, b!.dims);
      if (!dims)
        return call.refuse(
          `it joins ${shapeText(a!.dims)} and ${shapeText(b!.dims)}, which do not stretch to each other`,
        );
      stretchOf(call, dims);
      return dims;
    },
    lower(call, output, builder) {
      const [first, second] = call.inputs as readonly [Value, Value];
      const isPerPlane = first.dims.length === 4 && sameDims(second.dims, [...first.dims.slice(0, 2), 1, 1]);
      if (sameDims(first.dims, output.dims) && (isPerPlane || sameDims(second.dims, output.dims)))
        alongPlanes({ call, output, isPerPlane, operation: operations[name] }, builder);
      else overStretched({ call, output, operation: operations[name] }, builder);
    },
  };
}

interface Binary {
  readonly call: Call;
  readonly output: Value;
  readonly operation: number;
}

/** Two values of one shape, or planes and one number for each. */
function alongPlanes(
  { call, output, operation, isPerPlane }: Binary & { isPerPlane: boolean },
  builder: Builder,
): void {
  const [first, second] = call.inputs as readonly [Value, Value];
  // With one position a plane, both are vectors.
  const isSame = sameDims(first.dims, second.dims);
  if (isPerPlane && !isSame) builder.planes(first);
  const { from, to } = alike(first, output, builder);
  const other = to.planes && isSame ? builder.planes(second) : builder.flat(second);
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
      ...[a.distance(), isSame ? b.distance() : 4, c.distance(), c.vectors()],
      ...[operation, Number(!isSame), ...activationWords(call), c.mask()],
    ],
  });
}

/** How both inputs are walked while they are stretched. @throws ERR_PACKED_GRAPH where that takes more than four indices */
function stretchOf(call: Call, dims: readonly number[]): MergedIndices {
  const [a, b] = call.inputs as readonly [Value, Value];
  return (
    mergeIndices(dims, [stretched(a.dims, dims), stretched(b.dims, dims)]) ??
    call.refuse(`it stretches ${shapeText(a.dims)} and ${shapeText(b.dims)} along more than four indices`)
  );
}

/** Two values of which one or both are stretched, row-major. */
function overStretched({ call, output, operation }: Binary, builder: Builder): void {
  const [a, b] = call.inputs as readonly [Value, Value];
  const [first, second] = [builder.flat(a), builder.flat(b)];
  const to = flatRegion(productOf(output.dims));
  output.flat = to;
  const merged = stretchOf(call, output.dims);
  const bytes = (steps: readonly number[]): number[] => steps.map((step) => 4 * step);
  const [outer, inner] = merged.extents;
  builder.step({
    kernel: kernels.broadcast,
    units: () => outer * inner,
    reads: [first, second],
    writes: to,
    work: productOf(output.dims),
    words: () => [
      ...[first.address, second.address, to.address, ...merged.extents],
      ...[...bytes(merged.steps[0]!), ...bytes(merged.steps[1]!), operation, ...activationWords(call)],
    ],
  });
}

export const scaleShift: OperatorKind = {
  inputs: [1, 1],
  tensors: [2, 2],
  dims(call) {
    const { dims } = call.inputs[0]!;
    const channels = dims.length === 4 ? dims[1]! : dims[dims.length - 1]!;
    for (const tensor of call.tensors) {
      if (!sameDims(tensor.dims, [channels]) && !isOneForAll(call.tensors))
        call.refuse(`its tensor is ${shapeText(tensor.dims)} for ${channels} channels`);
    }
    activationWords(call);
    return dims;
  },
  lower(call, output, builder) {
    const value = call.inputs[0]!;
    const [scale, shift] = call.tensors.map(({ data }) => builder.numbers(data));
    const isAlike = isOneForAll(call.tensors);
    const { positions, features } = matrixOf(value.dims);
    const isByRow = !isAlike && value.dims.length !== 4 && !value.planes && (positions === 1 || features % 4 === 0);
    if (!isAlike && !isByRow) builder.planes(value);
    const { from, to } = alike(value, output, builder);
    const [a, b] = isByRow
      ? [rowsOf(positions, features), rowsOf(positions, features)]
      : [walkOf(from, builder), walkOf(to, builder)];
    builder.step({
      kernel: kernels.affine,
      units: () => b.count,
      reads: [from],
      writes: to,
      work: productOf(output.dims),
      words: () => [
        ...[originOf(from), originOf(to), a.distance(), b.distance(), b.vectors(), scale!.address, shift!.address],
        ...[isAlike ? 1 : (to.planes?.channels ?? 1), b.mask(), ...activationWords(call), Number(isByRow)],
      ],
    });
  },
};

/** Whether one scale and one shift hold for all channels. */
function isOneForAll(tensors: readonly { readonly dims: readonly number[] }[]): boolean {
  return tensors.every(({ dims }) => sameDims(dims, [1]));
}

/** Row after row of a flat region: as many as whole vectors hold, or one. */
function rowsOf(positions: number, features: number): Walk {
  return { count: positions, distance: () => 4 * features, vectors: () => Math.ceil(features / 4), mask: () => 0 };
}
