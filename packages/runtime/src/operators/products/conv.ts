/**
 * Convolution, as ONNX's Conv: tensors weights [out, in / group, kh, kw] and bias [out]; attributes strides [2], pads [4] (top, left, bottom,
 * right), dilations [2], group; a second input is added before the activation.
 *
 * With strides, the image is taken apart into its phases (every stride-th row and column from one on), in which every tap is a distance
 * again.
 */
import type { Builder } from "../../plan/builder.ts";
import { geometryOf, needMargin, originOf, type PlaneShape, type Region } from "../../plan/region.ts";
import type { Value } from "../../plan/value.ts";
import { activationWords, type OperatorKind, sameDims, shapeText } from "../operator.ts";
import { type ConvShape, convShape } from "./conv-shape.ts";
import { isStridedDepthwise, lowerDepthwise } from "./depthwise.ts";
import { lowerProduct } from "./product.ts";

export const conv: OperatorKind = {
  inputs: [1, 2],
  tensors: [1, 2],
  dims(call) {
    const { outputs, inGroup, kernel, strides, pads, dilations, group } = convShape(call);
    const [input, residual] = call.inputs;
    if (input!.dims.length !== 4)
      call.refuse(`its input is ${shapeText(input!.dims)}; it has to be [n, channels, height, width]`);
    const [images, channels, height, width] = input!.dims as readonly [number, number, number, number];
    if (channels !== inGroup * group)
      call.refuse(`it takes ${inGroup * group} channels in ${group} groups and is given ${channels}`);
    if (outputs % group !== 0) call.refuse(`its ${outputs} outputs do not come in ${group} groups`);
    const bias = call.tensors[1];
    if (bias && !sameDims(bias.dims, [outputs]))
      call.refuse(`its bias is ${shapeText(bias.dims)} for ${outputs} outputs`);
    const extent = (size: number, axis: 0 | 1): number =>
      Math.floor((size + pads[axis] + pads[axis + 2]! - dilations[axis] * (kernel[axis] - 1) - 1) / strides[axis]) + 1;
    const dims = [images, outputs, extent(height, 0), extent(width, 1)];
    if (dims[2]! < 1 || dims[3]! < 1) call.refuse(`its windows are larger than its input of ${shapeText(input!.dims)}`);
    if (residual && !sameDims(residual.dims, dims))
      call.refuse(`it adds ${shapeText(residual.dims)} to ${shapeText(dims)}`);
    if (call.operator.kernel === "block16")
      call.refuse("block16 is for products with one vector; allowed are dense, sparse and block4");
    activationWords(call);
    return dims;
  },
  lower(call, output, builder) {
    const shape = convShape(call);
    const { outputs, inGroup, kernel, group } = shape;
    const [kh, kw] = kernel;
    if (isStridedDepthwise(shape, output.dims)) {
      lowerDepthwise({ call, shape, output }, builder);
      return;
    }
    const source = shape.strides.every((stride) => stride === 1)
      ? wholeImage(call.inputs[0]!, shape, builder)
      : phases(call.inputs[0]!, shape, output.dims, builder);
    const outGroup = outputs / group;
    const taps = inGroup * kh * kw;
    const choice = call.operator.kernel ?? (call.tensors[0]!.kept === undefined ? "dense" : "sparse");
    // Four outputs of a block read the same channels only where no group ends inside it.
    const isByBlocks = choice !== "sparse" && (group === 1 || outGroup % 4 === 0);
    lowerProduct(
      {
        call,
        from: source.region,
        output,
        matrix: {
          weights: call.tensors[0]!.data,
          outputs,
          taps,
          places: () => {
            const at = source.offset();
            const places = Int32Array.from({ length: group * taps }, (_, i) => {
              const tap = i % taps;
              const channel = Math.floor(i / taps) * inGroup + Math.floor(tap / (kh * kw));
              return 4 * at(channel, Math.floor(tap / kw) % kh, tap % kw);
            });
            return (out) => {
              const first = Math.floor(out / outGroup) * taps;
              return places.subarray(first, first + taps);
            };
          },
        },
        isByBlocks,
        isDense: choice === "dense",
        isPlanewise: group === outputs && inGroup === 1,
        reach: source.reach,
      },
      builder,
    );
  },
};

/** Where a tap reads, in numbers from the address of the region. */
interface Source {
  readonly region: Region & { readonly planes: PlaneShape };
  readonly offset: () => (channel: number, ky: number, kx: number) => number;
  /** Bytes that the taps of one output read for so many bytes of positions. */
  readonly reach: (tileBytes: number) => number;
}

/**
 * Bytes that one tile of positions reads: in each of so many planes, pieces of some rows, or all from the first to the last where they overlap.
 * `stride` in numbers.
 */
function reachOf(
  tileBytes: number,
  { planes, rows, width, stride }: { planes: number; rows: number; width: number; stride: number },
): number {
  const piece = tileBytes + 4 * (width - 1) + lineBytes;
  return planes * Math.min(rows * piece, piece + 4 * (rows - 1) * stride);
}

/** What is read besides where a piece begins and ends inside lines of the cache. */
const lineBytes = 64;

function wholeImage(value: Value, { pads, dilations, inGroup, kernel }: ConvShape, builder: Builder): Source {
  const region = builder.planes(value);
  const [top, left, bottom, right] = pads;
  needMargin(region.planes, Math.max(top, bottom), Math.max(left, right));
  return {
    region,
    offset: () => {
      const { stride, lead, plane } = geometryOf(region.planes);
      return (channel, ky, kx) =>
        channel * plane + lead + (ky * dilations[0] - top) * stride + kx * dilations[1] - left;
    },
    reach: (tileBytes) => {
      const stride = dilations[0] * geometryOf(region.planes).stride;
      const width = dilations[1] * (kernel[1] - 1) + 1;
      return reachOf(tileBytes, { planes: inGroup, rows: kernel[0], width, stride });
    },
  };
}

function phases(value: Value, shape: ConvShape, outDims: readonly number[], builder: Builder): Source {
  const { strides, pads, dilations, kernel } = shape;
  const [sy, sx] = strides;
  const from = heldImage(value);
  const [images, channels, height, width] = value.dims as readonly [number, number, number, number];
  const key = `${sy} ${sx}`;
  const [rows, columns] = [Math.ceil(height / sy), Math.ceil(width / sx)];
  // Where a stride does not divide the image, the last rows and columns of some phases must stay zero.
  const isPrivate = height % sy !== 0 || width % sx !== 0;
  const found = value.phases.get(key) ?? {
    region: builder.newPlanes([images, channels * sy * sx, rows, columns], isPrivate),
    held: new Set<number>(),
  };
  value.phases.set(key, found);
  const region = found.region as Source["region"];
  /** The phase that tap k reads along an axis, and how many of its rows or columns after the output's. */
  const split = (axis: 0 | 1, k: number): { phase: number; shift: number } => {
    const distance = k * dilations[axis] - pads[axis];
    const phase = ((distance % strides[axis]) + strides[axis]) % strides[axis];
    return { phase, shift: (distance - phase) / strides[axis] };
  };
  const margin = (axis: 0 | 1, held: number): number => {
    const [before, after] = [split(axis, 0).shift, split(axis, kernel[axis] - 1).shift];
    return Math.max(0, -before, outDims[axis + 2]! - 1 + after - (held - 1));
  };
  needMargin(region.planes, margin(0, rows), margin(1, columns));
  for (let ky = 0; ky < kernel[0]; ky++) {
    for (let kx = 0; kx < kernel[1]; kx++) {
      const [py, px] = [split(0, ky).phase, split(1, kx).phase];
      const phase = py * sx + px;
      if (found.held.has(phase) || py >= height || px >= width) continue;
      found.held.add(phase);
      builder.copy({
        from,
        to: region,
        extents: () => [images, channels, Math.ceil((height - py) / sy), Math.ceil((width - px) / sx)],
        places: () => {
          const { first, steps } = walkImage(from, value.dims);
          const [image, plane, row] = steps;
          const b = geometryOf(region.planes);
          return {
            from: from.address + 4 * (first + py * row + px),
            to: originOf(region) + 4 * phase * channels * b.plane,
            fromSteps: [image, plane, sy * row, sx],
            toSteps: [channels * sy * sx * b.plane, b.plane, b.stride, 1],
          };
        },
      });
    }
  }
  // A phase that no step writes (an image smaller than the stride) is zeros only in memory of its own.
  return {
    region,
    offset: () => {
      const { stride, lead, plane } = geometryOf(region.planes);
      return (channel, ky, kx) => {
        const [y, x] = [split(0, ky), split(1, kx)];
        return ((y.phase * sx + x.phase) * channels + channel) * plane + lead + y.shift * stride + x.shift;
      };
    },
    reach: (tileBytes) => {
      const planes = shape.inGroup * Math.min(sy, kernel[0]) * Math.min(sx, kernel[1]);
      const [rows, width] = [Math.ceil(kernel[0] / sy), Math.ceil(kernel[1] / sx)];
      return reachOf(tileBytes, { planes, rows, width, stride: geometryOf(region.planes).stride });
    },
  };
}

/** The image as it is held already: its planes, or its rows as the caller or an operator before gives them. */
function heldImage(value: Value): Region {
  return value.planes ?? value.given ?? value.flat!;
}

/** Distances in numbers: of the first position from the region's address, and from image to image, plane to plane, row to row. */
function walkImage(
  { planes }: Region,
  [, channels, height, width]: readonly number[],
): {
  readonly first: number;
  readonly steps: readonly [number, number, number];
} {
  if (!planes) return { first: 0, steps: [channels! * height! * width!, height! * width!, width!] };
  const { lead, plane, stride } = geometryOf(planes);
  return { first: lead, steps: [channels! * plane, plane, stride] };
}
