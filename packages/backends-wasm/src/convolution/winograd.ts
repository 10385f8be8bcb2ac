/** Convolutions by minimal filtering (assembly/winograd.ts): which shapes, how much workspace, and how work is cut. */
import {
  type ConvolutionGradientsSpec,
  type ConvolutionShape,
  type ConvolveBackSpec,
  type ConvolveSpec,
  dtypeOf,
  matrix,
  type Vec,
  windowsShape,
  zeros,
} from "@secateur/core";
import type { Engine } from "../engine.ts";
import { chunksOf } from "../memory/chunks.ts";
import { withResidents } from "../memory/residents.ts";
import { ownMemory, readyWorkspace } from "../memory/thread-memory.ts";
import { ceilTo, floorTo } from "../products/tiles.ts";
import { fitFactors, placeFactors, withArranged } from "./arranged-weights.ts";

/** Largest transformed weights, in pairs of a channel and an output: 9 MiB of f32. */
const MOST_PAIRS = 256 * 256;
/** Largest transformed gradients: they stay in the second-level cache. */
const MOST_GRADIENT_PAIRS = 128 * 128;
/** Transformed tiles of a block, in bytes: half of a second-level cache; less where memory is short, which changes no bytes of results. */
const BLOCK_BYTES = [384 * 1024, 96 * 1024, 24 * 1024] as const;
/** Products saved by tiles must pay for transforming them, also where tiles hang over the edge. */
const MOST_WORK = 0.6;
/** Tiles of one partial sum of gradients. */
const CHUNK_TILES = 256;

/** Memories that may not grow to this have no room for the workspace, or only at times: they always do without. */
const ROOMY_BYTES = 64 * 1024 * 1024;

/** Whether a convolution is computed this way: depends on its shape and on the limit of the memory only, not on what is free. */
export function isWinograd(
  { memory }: Engine,
  { shape, size, isGradient }: { shape: ConvolutionShape; size: number; isGradient: boolean },
): boolean {
  if (memory.maxBytes < ROOMY_BYTES) return false;
  const { kernel, stride, dilation, groups, padding, channels, outputs } = shape;
  const vector = 16 / size;
  if (kernel[0] !== 3 || kernel[1] !== 3 || stride !== 1 || dilation !== 1 || groups !== 1) return false;
  if (padding < 0 || padding > 2) return false;
  // Channels are filled up to whole vectors where that adds a third at most.
  if (outputs % vector !== 0 || 3 * ceilTo(channels, vector) > 4 * channels) return false;
  if (channels * outputs > (isGradient ? MOST_GRADIENT_PAIRS : MOST_PAIRS)) return false;
  const { outHeight, outWidth } = windowsShape(shape);
  return 36 * tilesOf(shape) <= MOST_WORK * 9 * outHeight * outWidth;
}

/** out = images * weights. Returns false when the memory has no room. */
export function winogradConvolve(engine: Engine, spec: ConvolveSpec): boolean {
  const { beta = 0, relu = false } = spec;
  return filter(engine, { ...spec, isBack: false, mode: beta + (relu ? 2 : 0) });
}

/** Deltas back: the convolution of deltas with the weights turned round. */
export function winogradBack(engine: Engine, { shape, deltas, weights, out }: ConvolveBackSpec): boolean {
  return filter(engine, { shape: turned(shape), images: deltas, weights, out, isBack: true, mode: 0 });
}

/** The shape of the convolution that carries deltas of a convolution of stride 1 and 3 x 3 taps back. */
export function turned(shape: ConvolutionShape): ConvolutionShape {
  const { outHeight: height, outWidth: width } = windowsShape(shape);
  return { ...shape, height, width, channels: shape.outputs, outputs: shape.channels, padding: 2 - shape.padding };
}

interface Filter extends Omit<ConvolveSpec, "beta" | "relu"> {
  readonly isBack: boolean;
  /** Adds up: 1 = onto what out holds, 2 = its positive part. */
  readonly mode: number;
}

function filter(engine: Engine, call: Filter): boolean {
  return fitFactors(engine, call) && BLOCK_BYTES.some((blockBytes) => filterBlocks(engine, call, blockBytes));
}

function filterBlocks(engine: Engine, call: Filter, blockBytes: number): boolean {
  const { shape, images, weights, reuse, out, isBack, mode } = call;
  const { batch, height, width, outputs, padding } = shape;
  const size = out.BYTES_PER_ELEMENT;
  const channels = ceilTo(shape.channels, 16 / size);
  const { outHeight, outWidth } = windowsShape(shape);
  const tiles = batch * tilesOf(shape);
  const blockTiles = Math.min(96, floorTo(blockBytes / (36 * (channels + outputs) * size), 6));
  const bytes =
    headBytes(channels, size) + 36 * (pointBytes(blockTiles, channels, size) + pointBytes(blockTiles, outputs, size));
  const operands = [
    { vector: images, use: "in" },
    { vector: out, use: mode & 1 ? "both" : "out" },
  ] as const;
  const transformed = {
    ...{ weights, reuse, key: `transformed ${shape.channels} ${outputs} ${isBack}` },
    length: 36 * channels * ceilTo(outputs, 16 / size),
    make: (address: number): boolean => transformWeights(engine, { shape, weights, isBack }, address),
  };
  const [space, workspace] = readyWorkspace(engine, engine.threads * bytes);
  return withArranged(engine, transformed, (packed) =>
    withResidents(engine, { operands, workspace }, (addresses) => {
      const [source, target, last] = addresses as [number, number, number];
      engine.run(
        `winogradTiles${size * 8}`,
        Math.ceil(tiles / blockTiles),
        tiles * (36 * channels * outputs * 0.04 + (channels + outputs) * 20),
        ...[...ownMemory(engine, space || last, bytes), source, packed, ...placeFactors(engine, call), target],
        ...[height, width, shape.channels, channels, outputs, padding, outHeight, outWidth, tiles, blockTiles, mode],
      );
    }),
  );
}

/** G w G' of all pairs of channels. Returns false when the memory has no room. */
function transformWeights(
  engine: Engine,
  { shape, weights, isBack }: Pick<Filter, "shape" | "weights" | "isBack">,
  address: number,
): boolean {
  const size = weights.BYTES_PER_ELEMENT;
  const { outputs } = shape;
  const channels = ceilTo(shape.channels, 16 / size);
  const vector = channels === shape.channels ? weights : widened(weights, { shape, channels, isBack });
  return withResidents(engine, { operands: [{ vector, use: "in" }], workspace: 0 }, ([taps]) => {
    // In the order of the checkpoint: [outputs, channels] of the convolution itself, whichever way it is taken.
    const [forwardOutputs, forwardChannels] = isBack ? [channels, outputs] : [outputs, channels];
    const units = Math.ceil(outputs / (32 / size));
    const values = [taps!, forwardOutputs, forwardChannels, Number(isBack), address];
    engine.run(`transformWeights${size * 8}`, units, channels * outputs * 60, ...values);
  });
}

/** Rows of weight gradients. Returns false when the memory has no room. */
export function winogradGradients(engine: Engine, spec: ConvolutionGradientsSpec): boolean {
  return BLOCK_BYTES.some((blockBytes) => gradientBlocks(engine, spec, blockBytes));
}

function gradientBlocks(engine: Engine, spec: ConvolutionGradientsSpec, blockBytes: number): boolean {
  const { shape, images, deltas, out } = spec;
  const { batch, height, width, outputs, padding } = shape;
  const group = Math.min(spec.group, batch);
  const size = images.BYTES_PER_ELEMENT;
  const vector = 16 / size;
  const { outHeight, outWidth } = windowsShape(shape);
  const channels = ceilTo(shape.channels, vector);
  const isWide = channels > shape.channels;
  // Gradients of the channels that fill up are zeros, to be left out.
  const sums = isWide
    ? matrix(out.rows, outputs * channels * 9, zeros(out.rows * outputs * channels * 9, dtypeOf(out.data)))
    : out;
  const blockTiles = Math.min(128, floorTo(blockBytes / (36 * (channels + outputs) * size), 4));
  const bytes =
    headBytes(Math.max(channels, outputs), size) +
    36 *
      (pointBytes(blockTiles, channels, size) +
        pointBytes(blockTiles, outputs, size) +
        pointBytes(outputs, channels, size));
  const chunks = chunksOf({ group, each: tilesOf(shape), work: CHUNK_TILES });
  const partialBytes = chunks.count === 1 ? 0 : ceilTo(sums.rows * chunks.count * sums.cols * size, 64);
  const operands = [
    { vector: images, use: "in" },
    { vector: deltas, use: "in" },
    { vector: sums.data, use: "out" },
  ] as const;
  const isDone = withResidents(engine, { operands, workspace: partialBytes + engine.threads * bytes }, (addresses) => {
    const [source, slopes, target, space] = addresses as [number, number, number, number];
    const bits = size * 8;
    const partials = chunks.count === 1 ? target : space;
    engine.run(
      `winogradGradients${bits}`,
      out.rows * chunks.count,
      batch * tilesOf(shape) * 36 * channels * outputs * 0.05,
      ...[...ownMemory(engine, space + partialBytes, bytes), source, slopes, partials],
      ...[height, width, shape.channels, channels, outputs, padding, outHeight, outWidth],
      ...[batch, group, chunks.count, chunks.images, blockTiles],
    );
    if (chunks.count > 1) addSegments(engine, { partials, chunks: chunks.count, target, out: sums, bits });
  });
  if (isDone && isWide) copyRuns(sums.data, channels * 9, out.data, shape.channels * 9);
  return isDone;
}

/** Adds up the partial sums of every row of out. */
export function addSegments(
  engine: Engine,
  {
    partials,
    chunks,
    target,
    out,
    bits,
  }: {
    partials: number;
    chunks: number;
    target: number;
    out: { rows: number; cols: number };
    bits: number;
  },
): void {
  const units = out.rows * Math.ceil(out.cols / 1024);
  engine.run(`addSegments${bits}`, units, out.rows * out.cols * chunks * 0.4, partials, chunks, out.cols, target);
}

/** Weights with zeros for the channels that fill up: of [outputs, channels, 9], or of [channels, outputs, 9] on the way back. */
function widened(
  weights: Vec,
  { shape, channels, isBack }: { shape: ConvolutionShape; channels: number; isBack: boolean },
): Vec {
  const out = zeros(shape.outputs * channels * 9, dtypeOf(weights));
  if (isBack) out.set(weights);
  else copyRuns(weights, shape.channels * 9, out, channels * 9);
  return out;
}

/** Copies the beginnings of runs of one length to runs of another. */
function copyRuns(from: Vec, fromLength: number, to: Vec, toLength: number): void {
  const count = Math.min(fromLength, toLength);
  for (let i = 0, j = 0; j < to.length; i += fromLength, j += toLength) {
    for (let c = 0; c < count; c++) to[j + c] = from[i + c]!;
  }
}

function tilesOf(shape: ConvolutionShape): number {
  const { outHeight, outWidth } = windowsShape(shape);
  return Math.ceil(outHeight / 4) * Math.ceil(outWidth / 4);
}

// The layout of assembly/winograd.ts.
function headBytes(channels: number, size: number): number {
  return 1024 + ceilTo(36 * channels * size, 64);
}

function pointBytes(tiles: number, channels: number, size: number): number {
  return ceilTo(tiles * channels * size, 64) + 64;
}
