/** Grouped and depthwise convolutions (assembly/grouped.ts). */
import {
  type ConvolutionGradientsSpec,
  type ConvolutionShape,
  type ConvolveBackSpec,
  type ConvolveSpec,
  referenceKernels,
  type Vec,
  windowsShape,
} from "@secateur/core";
import type { Engine } from "../engine.ts";
import { chunksOf } from "../memory/chunks.ts";
import { withResidents } from "../memory/residents.ts";
import { ceilTo } from "../products/tiles.ts";
import {
  type Arrangement,
  fitFactors,
  placeFactors,
  runAndKeep,
  transposeTo,
  withArranged,
} from "./arranged-weights.ts";
import { addSegments } from "./winograd.ts";

/** Positions of one partial sum of gradients. */
const CHUNK_POSITIONS = 4096;

/** out = images * weights. Returns false when the memory has no room. */
export function groupedConvolve(engine: Engine, spec: ConvolveSpec): boolean {
  const { shape, images, out, beta = 0, relu = false } = spec;
  const operands = [
    { vector: images, use: "in" },
    { vector: out, use: beta === 1 ? "both" : "out" },
  ] as const;
  const { outHeight } = windowsShape(shape);
  if (!fitFactors(engine, spec)) return false;
  const own = arrangement(engine, spec);
  const call = {
    ...{ engine, images, out, arrangement: own, kernel: `groupedOutputs${out.BYTES_PER_ELEMENT * 8}` },
    ...{ units: shape.batch * outHeight, costNs: costNs(shape), taps: 1 },
  };
  const rest = [...geometry(shape, out), beta + (relu ? 2 : 0)];
  const [source, target] = [engine.memory.addressOf(images), engine.memory.addressOf(out)];
  if (source !== undefined && target !== undefined) {
    if (runAndKeep({ ...call, values: [source, 0, 0, 0, target, ...rest] }, spec)) return true;
  }
  return withArranged(engine, own, (taps) =>
    withResidents(engine, { operands, workspace: 0 }, (addresses) => {
      const [from, to] = addresses as [number, number];
      engine.run(call.kernel, call.units, call.costNs, from, taps, ...placeFactors(engine, spec), to, ...rest);
    }),
  );
}

/** Deltas back. */
export function groupedBack(engine: Engine, { shape, deltas, weights, out }: ConvolveBackSpec): boolean {
  const operands = [
    { vector: deltas, use: "in" },
    { vector: out, use: "out" },
  ] as const;
  return withArranged(engine, arrangement(engine, { shape, weights }), (taps) =>
    withResidents(engine, { operands, workspace: 0 }, (addresses) => {
      const [slopes, target] = addresses as [number, number];
      const kernel = `groupedBack${out.BYTES_PER_ELEMENT * 8}`;
      engine.run(kernel, shape.batch * shape.height, costNs(shape), slopes, taps, target, ...geometry(shape, out));
    }),
  );
}

/** Rows of weight gradients. */
export function groupedGradients(engine: Engine, spec: ConvolutionGradientsSpec): boolean {
  const { shape, images, deltas, out } = spec;
  const group = Math.min(spec.group, shape.batch);
  const { outHeight, outWidth } = windowsShape(shape);
  const chunks = chunksOf({ group, each: outHeight * outWidth, work: CHUNK_POSITIONS });
  const size = images.BYTES_PER_ELEMENT;
  const sums = out.data.slice();
  const partialBytes = ceilTo(out.rows * chunks.count * out.cols * size, 64);
  const operands = [
    { vector: images, use: "in" },
    { vector: deltas, use: "in" },
    { vector: sums, use: "out" },
  ] as const;
  const isDone = withResidents(engine, { operands, workspace: partialBytes }, (addresses) => {
    const [source, slopes, target, partials] = addresses as [number, number, number, number];
    engine.run(
      `groupedGradients${size * 8}`,
      out.rows * chunks.count,
      costNs(shape),
      ...[source, slopes, partials, ...geometry(shape, deltas), shape.batch, group, chunks.count, chunks.images],
    );
    addSegments(engine, { partials, chunks: chunks.count, target, out, bits: size * 8 });
  });
  const { count, rows, cols } = order(shape, size);
  if (isDone) referenceKernels.transposeBlocks(sums, { count: out.rows * count, rows: cols, cols: rows }, out.data);
  return isDone;
}

function isDepthwise({ channels, outputs, groups }: ConvolutionShape, size: number): boolean {
  return groups === channels && outputs === channels && channels % (16 / size) === 0;
}

/** Weights as the kernels take them: each of `count` matrices [rows, cols] transposed. */
function order(shape: ConvolutionShape, size: number): { count: number; rows: number; cols: number } {
  const { channels, outputs, groups, kernel } = shape;
  const cols = kernel[0] * kernel[1];
  return isDepthwise(shape, size)
    ? { count: 1, rows: channels, cols }
    : { count: outputs, rows: channels / groups, cols };
}

function arrangement(
  engine: Engine,
  { shape, weights, reuse }: Pick<ConvolveSpec, "shape" | "weights" | "reuse">,
): Arrangement {
  const blocks = order(shape, weights.BYTES_PER_ELEMENT);
  const make = (address: number): boolean => transposeTo(engine, { weights, ...blocks }, address);
  return { weights, reuse, key: `grouped ${Object.values(blocks)}`, length: weights.length, make };
}

/** The arguments that all three kernels share. */
function geometry(shape: ConvolutionShape, like: Vec): number[] {
  const { height, width, channels, outputs, groups, kernel, stride, padding, dilation } = shape;
  const { outHeight, outWidth } = windowsShape(shape);
  const sizes = [height, width, channels, outputs, groups, kernel[0], kernel[1], stride, padding, dilation];
  return [...sizes, outHeight, outWidth, Number(isDepthwise(shape, like.BYTES_PER_ELEMENT))];
}

function costNs(shape: ConvolutionShape): number {
  const { rows, cols } = windowsShape(shape);
  return (rows * cols * shape.outputs) / shape.groups;
}
