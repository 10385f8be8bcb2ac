/** Convolutions whose windows are written, multiplied with packed weights and finished a few rows at a time (assembly/window-products.ts). */
import { type ConvolutionShape, type ConvolveSpec, type Vec, windowsShape } from "@secateur/core";
import type { Engine } from "../engine.ts";
import { withResidents } from "../memory/residents.ts";
import { ownMemory, readyWorkspace } from "../memory/thread-memory.ts";
import { SUM_BLOCK } from "../products/product.ts";
import { ceilTo, floorTo } from "../products/tiles.ts";
import { fitFactors, placeFactors, runAndKeep, transposeTo, withArranged } from "./arranged-weights.ts";

/** Windows of a unit, in bytes: a part of a second-level cache. */
const UNIT_BYTES = 128 * 1024;
/** Rows of a unit: few enough to share, many enough that weights are read from near. */
const MOST_ROWS = 96;
const TILE_ROWS = 6;

/** What follows from a shape. */
interface Ready {
  readonly size: number;
  readonly threads: number;
  readonly key: string;
  /** Numbers of packed weights. */
  readonly length: number;
  readonly kernel: string;
  readonly units: number;
  readonly costNs: number;
  /** Working memory of a thread. */
  readonly bytes: number;
  readonly geometry: readonly number[];
}

const readyByShape = new WeakMap<ConvolutionShape, Ready>();

/** What follows from a shape, once for shapes that come again. */
function readyFor(engine: Engine, shape: ConvolutionShape, size: number): Ready {
  const before = readyByShape.get(shape);
  if (before?.size === size && before.threads === engine.threads) return before;
  const { height, width, channels, outputs, kernel, stride, padding, dilation } = shape;
  const { outHeight, outWidth, rows, cols } = windowsShape(shape);
  const isImage = isPointwise(shape);
  const unitRows = rowsOfUnit(engine, { rows, bytes: cols * size });
  const windowBytes = isImage ? 0 : ceilTo(unitRows * cols * size, 16);
  const ready = {
    ...{ size, threads: engine.threads, key: `packed ${channels} ${outputs} ${kernel}` },
    length: cols * ceilTo(outputs, 16 / size),
    kernel: `windowProducts${size * 8}`,
    units: Math.ceil(rows / unitRows),
    costNs: (rows * cols * outputs) / (size === 4 ? 12 : 6),
    bytes: ceilTo(256 + windowBytes + unitRows * outputs * size, 64),
    geometry: [
      ...[height, width, channels, outputs, kernel[0], kernel[1], stride, padding, dilation, outHeight, outWidth],
      ...[rows, unitRows, SUM_BLOCK, Number(isImage)],
    ],
  };
  readyByShape.set(shape, ready);
  return ready;
}

/** out = images * weights, one group. Returns false when the memory has no room. */
export function windowProducts(engine: Engine, spec: ConvolveSpec): boolean {
  const { shape, images, weights, reuse, out, beta = 0, relu = false } = spec;
  if (!fitFactors(engine, spec)) return false;
  const { key, length, kernel, units, costNs, bytes, geometry } = readyFor(engine, shape, out.BYTES_PER_ELEMENT);
  const operands = [
    { vector: images, use: "in" },
    { vector: out, use: beta === 1 ? "both" : "out" },
  ] as const;
  const make = (address: number): boolean => packWeights(engine, { shape, weights }, address);
  const arrangement = { weights, reuse, key, length, make };
  const [space, workspace] = readyWorkspace(engine, engine.threads * bytes);
  const mode = beta + (relu ? 2 : 0);
  const [source, target] = [engine.memory.addressOf(images), engine.memory.addressOf(out)];
  if (source !== undefined && target !== undefined && space !== 0) {
    const own = ownMemory(engine, space, bytes);
    const values = [...own, source, 0, 0, 0, target, ...geometry, mode];
    if (runAndKeep({ engine, images, out, arrangement, kernel, units, costNs, values, taps: own.length + 1 }, spec))
      return true;
  }
  return withArranged(engine, arrangement, (taps) =>
    withResidents(engine, { operands, workspace }, (addresses) => {
      const [from, to, last] = addresses as [number, number, number];
      const own = ownMemory(engine, space || last, bytes);
      const factors = placeFactors(engine, spec);
      engine.run(kernel, units, costNs, ...own, from, taps, ...factors, to, ...geometry, mode);
    }),
  );
}

/** Whether an image is its own windows. */
export function isPointwise({ kernel, stride, padding }: ConvolutionShape): boolean {
  return kernel[0] === 1 && kernel[1] === 1 && stride === 1 && padding === 0;
}

// Whole tiles, and with several threads enough units for all of them.
function rowsOfUnit({ threads }: Engine, { rows, bytes }: { rows: number; bytes: number }): number {
  const most = Math.min(MOST_ROWS, floorTo(UNIT_BYTES / Math.max(1, bytes), TILE_ROWS));
  return threads === 1 ? most : Math.min(most, ceilTo(Math.ceil(rows / (4 * threads)), TILE_ROWS));
}

/** Panels of [(tap, c), outputs]. */
function packWeights(
  engine: Engine,
  { shape, weights }: { shape: ConvolutionShape; weights: Vec },
  address: number,
): boolean {
  const { channels, outputs, kernel } = shape;
  const [taps, size] = [kernel[0] * kernel[1], weights.BYTES_PER_ELEMENT];
  const k = channels * taps;
  const pack = (from: number): boolean => {
    const units = Math.ceil(k / SUM_BLOCK) * Math.ceil(outputs / ((16 * 16) / size));
    engine.run(`packPanels${size * 8}`, units, k * outputs * 0.5, from, k, 1, k, outputs, SUM_BLOCK, address);
    return true;
  };
  if (taps === 1 || channels === 1) {
    return withResidents(
      engine,
      { operands: [{ vector: weights, use: "in" }], workspace: 0 },
      ([from]) => void pack(from!),
    );
  }
  const make = (to: number): boolean =>
    transposeTo(engine, { weights, count: outputs, rows: channels, cols: taps }, to);
  return withArranged(engine, { weights, key: "", length: weights.length, make }, pack);
}
