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

/** The kept weights as one direction sees them, line by line of those that it writes: the channel that each reads, its tap, and its number. */
interface Lines {
  /** [lines + 1] */
  readonly starts: Uint32Array;
  readonly reads: Uint32Array;
  /** Rows of a window one after the other. */
  readonly taps: Uint32Array;
  readonly numbers: Uint32Array;
}

/** The lists of the forward direction, which gradients use, too. O(classes * entries) */
export function forwardLists(shape: ConvolutionShape, pattern: SparsePattern): SparseLists {
  const { outHeight, outWidth } = windowsShape(shape);
  const { reads, taps } = placesOf(shape, pattern);
  const numbers = Uint32Array.from(reads, (_, e) => e);
  const axis = (count: number, extent: number, taps: number): Axis =>
    classify(count, (position) => {
      const origin = position * shape.stride - shape.padding;
      const inside = range(taps)
        .map((tap) => [tap, tap * shape.dilation] as const)
        .filter(([, way]) => origin + way >= 0 && origin + way < extent);
      return { origin, reach: inside };
    });
  return listsOf(
    { starts: pattern.starts, reads, taps, numbers },
    {
      rows: axis(outHeight, shape.height, shape.kernel[0]),
      columns: axis(outWidth, shape.width, shape.kernel[1]),
      kernel: shape.kernel,
      width: shape.width,
      channels: shape.channels,
    },
  );
}

/** The lists of the way back. O(classes * entries) */
export function backLists(shape: ConvolutionShape, pattern: SparsePattern): SparseLists {
  const { outputs, stride, padding, dilation } = shape;
  const { outHeight, outWidth } = windowsShape(shape);
  const lines = byChannel(shape, pattern);
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
    kernel: shape.kernel,
    width: outWidth,
    channels: outputs,
  });
}

/** Of every kept weight, output by output, the channel that it reads forward, and its tap. */
function placesOf(shape: ConvolutionShape, pattern: SparsePattern): Pick<Lines, "reads" | "taps"> {
  const { channels, outputs, groups, kernel } = shape;
  const { rows, starts, columns } = pattern;
  const window = kernel[0] * kernel[1];
  const [reads, taps] = [new Uint32Array(columns.length), new Uint32Array(columns.length)];
  for (let o = 0; o < rows; o++) {
    const first = Math.floor((o * groups) / outputs) * (channels / groups);
    for (let e = starts[o]!; e < starts[o + 1]!; e++) {
      const channel = Math.floor(columns[e]! / window);
      reads[e] = first + channel;
      taps[e] = columns[e]! - channel * window;
    }
  }
  return { reads, taps };
}

/** The kept weights by the channel that they read, which the way back writes. */
function byChannel(shape: ConvolutionShape, pattern: SparsePattern): Lines {
  const { reads: channels, taps } = placesOf(shape, pattern);
  const starts = new Uint32Array(shape.channels + 1);
  for (const channel of channels) starts[channel + 1]! += 1;
  for (let c = 0; c < shape.channels; c++) starts[c + 1]! += starts[c]!;
  const next = starts.slice();
  const lines = { starts, reads: taps.slice(), taps: taps.slice(), numbers: taps.slice() };
  for (let o = 0; o < pattern.rows; o++) {
    for (let e = pattern.starts[o]!; e < pattern.starts[o + 1]!; e++) {
      const at = next[channels[e]!]!++;
      lines.reads[at] = o;
      lines.taps[at] = taps[e]!;
      lines.numbers[at] = e;
    }
  }
  return lines;
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
  lines: Lines,
  read: { rows: Axis; columns: Axis; kernel: ConvolutionShape["kernel"]; width: number; channels: number },
): SparseLists {
  const { rows, columns, width, channels } = read;
  const { starts: own, reads, taps, numbers } = lines;
  const count = own.length - 1;
  const classes = rows.reach.length * columns.reach.length;
  const starts = new Uint32Array(classes * count + 1);
  const entries = new Uint32Array(2 * classes * reads.length);
  let [list, end] = [0, 0];
  for (const down of rows.reach) {
    for (const across of columns.reach) {
      const ways = waysOf(down, across, read);
      for (let line = 0; line < count; line++) {
        for (let e = own[line]!; e < own[line + 1]!; e++) {
          const way = ways[taps[e]!];
          if (way === undefined) continue;
          entries[end] = way + reads[e]! * lineBytes;
          entries[end + 1] = numbers[e]! * 4;
          end += 2;
        }
        starts[++list] = end / 2;
      }
    }
  }
  const table = (axis: Axis, step: number): Uint32Array =>
    Uint32Array.from(axis.classes.flatMap((which, position) => [which, axis.origins[position]! * step * lineBytes]));
  return {
    rows: table(rows, width * channels),
    columns: table(columns, channels),
    columnClasses: columns.reach.length,
    outputs: count,
    starts,
    entries: entries.subarray(0, end),
  };
}

/** How many bytes from a position on each tap reads; undefined where it does not. */
function waysOf(
  down: ReadonlyMap<number, number>,
  across: ReadonlyMap<number, number>,
  { kernel, width, channels }: { kernel: ConvolutionShape["kernel"]; width: number; channels: number },
): readonly (number | undefined)[] {
  const ways = new Array<number | undefined>(kernel[0] * kernel[1]).fill(undefined);
  for (const [ky, y] of down) {
    for (const [kx, x] of across) ways[ky * kernel[1] + kx] = (y * width + x) * channels * lineBytes;
  }
  return ways;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
