/**
 * What the kernels of sparse convolutions walk along (assembly/sparse-convolution.ts): for every class of positions and every output the
 * kept weights that reach inside the image, with the way from the position to the line that each reads. Forward and for gradients a
 * position is one of the output and reads the image; on the way back it is one of the image and reads the deltas.
 */
import { type ConvolutionShape, panelWidth, type SparsePattern, windowsShape } from "@secateur/core";

/** Bytes of a line of 32 numbers in f32. */
const lineBytes = panelWidth * 4;

/** The tables of one direction; offsets in bytes, modulo 2^32. */
export interface SparseLists {
  /** (class, offset) of each row of positions. */
  readonly rows: Uint32Array;
  /** The same for columns. */
  readonly columns: Uint32Array;
  readonly columnClasses: number;
  /** Lines that a position writes. */
  readonly outputs: number;
  /** [row classes * column classes * outputs + 1] */
  readonly starts: Uint32Array;
  /** (offset, 4 times the number of the weight) of each entry. */
  readonly entries: Uint32Array;
}

/** Positions along one axis: of each its class and where it counts from; of each class its taps and how far from there they read. */
interface Axis {
  readonly classes: readonly number[];
  readonly origins: readonly number[];
  readonly reach: readonly ReadonlyMap<number, number>[];
}

/** A weight as one direction sees it: the line that it writes, the channel that it reads, where it stands in the window. */
interface Entry {
  readonly reads: number;
  readonly ky: number;
  readonly kx: number;
  readonly index: number;
}

/** The lists of the forward direction, which gradients use, too. O(classes * entries) */
export function forwardLists(shape: ConvolutionShape, pattern: SparsePattern): SparseLists {
  const { channels, outputs, groups } = shape;
  const { outHeight, outWidth } = windowsShape(shape);
  const lines = eachLine(outputs);
  visitWeights(shape, pattern, (o, channel, at) => {
    lines[o]!.push({ ...at, reads: Math.floor((o * groups) / outputs) * (channels / groups) + channel });
  });
  const axis = (count: number, extent: number, taps: number): Axis =>
    classify(count, (position) => {
      const origin = position * shape.stride - shape.padding;
      const inside = range(taps)
        .map((tap) => [tap, tap * shape.dilation] as const)
        .filter(([, way]) => origin + way >= 0 && origin + way < extent);
      return { origin, reach: inside };
    });
  return listsOf(lines, {
    rows: axis(outHeight, shape.height, shape.kernel[0]),
    columns: axis(outWidth, shape.width, shape.kernel[1]),
    width: shape.width,
    channels,
  });
}

/** The lists of the way back. O(classes * entries) */
export function backLists(shape: ConvolutionShape, pattern: SparsePattern): SparseLists {
  const { channels, outputs, groups, stride, padding, dilation } = shape;
  const { outHeight, outWidth } = windowsShape(shape);
  const lines = eachLine(channels);
  visitWeights(shape, pattern, (o, channel, at) => {
    lines[Math.floor((o * groups) / outputs) * (channels / groups) + channel]!.push({ ...at, reads: o });
  });
  const axis = (count: number, extent: number, taps: number): Axis =>
    classify(count, (position) => {
      const origin = Math.floor(position / stride);
      const inside = range(taps)
        .map((tap) => [tap, position + padding - tap * dilation] as const)
        .filter(([, from]) => from % stride === 0 && from >= 0 && from / stride < extent)
        .map(([tap, from]) => [tap, from / stride - origin] as const);
      return { origin, reach: inside };
    });
  return listsOf(lines, {
    rows: axis(shape.height, outHeight, shape.kernel[0]),
    columns: axis(shape.width, outWidth, shape.kernel[1]),
    width: outWidth,
    channels: outputs,
  });
}

/** Visits the kept weights output by output: channel within the group, and place in the window. */
function visitWeights(
  { kernel }: ConvolutionShape,
  { rows, starts, columns }: SparsePattern,
  visit: (output: number, channel: number, at: { ky: number; kx: number; index: number }) => void,
): void {
  const taps = kernel[0] * kernel[1];
  for (let o = 0; o < rows; o++) {
    for (let index = starts[o]!; index < starts[o + 1]!; index++) {
      const tap = columns[index]! % taps;
      const at = { ky: Math.floor(tap / kernel[1]), kx: tap % kernel[1], index };
      visit(o, Math.floor(columns[index]! / taps), at);
    }
  }
}

/** Positions that reach the same taps in the same way are of one class. */
function classify(
  count: number,
  at: (position: number) => { origin: number; reach: readonly (readonly [tap: number, way: number])[] },
): Axis {
  const known = new Map<string, number>();
  const reach: ReadonlyMap<number, number>[] = [];
  const positions = range(count).map(at);
  const classes = positions.map((position) => {
    const key = JSON.stringify(position.reach);
    const found = known.get(key) ?? known.size;
    if (found === known.size) {
      known.set(key, found);
      reach.push(new Map(position.reach));
    }
    return found;
  });
  return { classes, origins: positions.map(({ origin }) => origin), reach };
}

/** @param width - positions in a row of what is read @param channels - lines of a position there */
function listsOf(
  lines: readonly (readonly Entry[])[],
  { rows, columns, width, channels }: { rows: Axis; columns: Axis; width: number; channels: number },
): SparseLists {
  const starts = [0];
  const entries: number[] = [];
  for (const down of rows.reach) {
    for (const across of columns.reach) {
      for (const line of lines) {
        for (const { reads, ky, kx, index } of line) {
          const [y, x] = [down.get(ky), across.get(kx)];
          if (y === undefined || x === undefined) continue;
          entries.push(((y * width + x) * channels + reads) * lineBytes, index * 4);
        }
        starts.push(entries.length / 2);
      }
    }
  }
  const table = (axis: Axis, step: number): Uint32Array =>
    Uint32Array.from(axis.classes.flatMap((which, position) => [which, axis.origins[position]! * step * lineBytes]));
  return {
    rows: table(rows, width * channels),
    columns: table(columns, channels),
    columnClasses: columns.reach.length,
    outputs: lines.length,
    starts: Uint32Array.from(starts),
    entries: Uint32Array.from(entries),
  };
}

function eachLine(count: number): Entry[][] {
  return Array.from({ length: count }, () => []);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
