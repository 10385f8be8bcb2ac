/** Second moments of windows from sums over displacements (assembly/window-gram.ts), or, where the shape has no use for those, from written windows. */
import { checkWindowGram, gramOfWindows, type Vec, type WindowGramSpec, type WindowShape } from "@secateur/core";
import type { Engine } from "../engine.ts";
import { withResidents } from "../memory/residents.ts";
import { gram } from "../products/gemm.ts";
import { ceilTo } from "../products/tiles.ts";
import { columnSums } from "../rows/column-sums.ts";
import { axpy } from "../rows/elementwise.ts";
import { type WindowPairs, windowPairs } from "./window-pairs.ts";
import { gatherWindows } from "./windows.ts";
import { addSegments } from "./winograd.ts";

/** Positions of one partial sum. */
const CHUNK_POSITIONS = 1024;
/** The most that partial sums may take, where one of them does not take more. */
const PARTIAL_BYTES = 32 * 1024 * 1024;

/** Sums of products over all windows of images. */
export function windowGram(engine: Engine, spec: WindowGramSpec): void {
  const { rows, cols } = checkWindowGram(spec);
  if (rows * cols > 0 && isShifted(spec) && fromDisplacements(engine, spec, rows)) return;
  gramOfWindows(spec, {
    alloc: (length, dtype) => engine.memory.alloc(length, dtype),
    free: (vector) => engine.memory.free(vector),
    gatherWindows: (windows) => gatherWindows(engine, windows),
    gram: (product) => gram(engine, product),
    columnSums: (a, out) => columnSums(engine, a, out),
    axpy: (alpha, x, y) => axpy(engine, alpha, x, y),
  });
}

/** Up to so many channels of windows of one pixel half of the products is taken twice, which is less than packing them takes. */
const FEW_CHANNELS = 64;

/** Whether windows are shifts of one another pixel by pixel, of whole vectors of channels. */
function isShifted({ shape, images }: WindowGramSpec): boolean {
  const { kernel, stride, dilation } = shape;
  const [from, to] = channelsOf(shape);
  if (kernel[0] * kernel[1] === 1 && to - from > FEW_CHANNELS) return false;
  return stride === 1 && dilation === 1 && (to - from) % (16 / images.BYTES_PER_ELEMENT) === 0;
}

function channelsOf({ channels, channelRange = [0, channels] }: WindowShape): readonly [from: number, to: number] {
  return channelRange;
}

/** What follows from a shape but for its batch, and the tables as the kernels read them, one after the other. */
interface Tables extends WindowPairs {
  readonly words: Uint32Array;
  /** Where displacements, rectangles, pairs and parts begin, in bytes. */
  readonly at: readonly number[];
  /** Pixels of all rectangles. */
  readonly area: number;
}

const known = new Map<string, Tables>();
/** Shapes that are remembered: more than networks have. */
const MOST_KNOWN = 256;

function tablesOf(shape: WindowShape, pixelBytes: number): Tables {
  const { height, width, kernel, padding } = shape;
  const key = [height, width, ...kernel, padding, pixelBytes].join();
  const found = known.get(key);
  if (found) return found;
  const tables = windowPairs(shape);
  const { displacements, rectangles, pairs } = tables;
  let end = 0;
  const lists = [
    displacements.flatMap(({ down, across, first, end }) => [(down * width + across) * pixelBytes, first, end, 0]),
    rectangles.flat(),
    pairs.flatMap(({ taps, parts }) => {
      end += parts.length;
      return [...taps, end - parts.length, end];
    }),
    pairs.flatMap(({ parts }) => parts),
  ];
  let start = 0;
  const at = lists.map((list) => {
    start += list.length * 4;
    return start - list.length * 4;
  });
  const area = rectangles.reduce((sum, [top, bottom, left, right]) => sum + (bottom - top) * (right - left), 0);
  if (known.size === MOST_KNOWN) known.clear();
  const made = { ...tables, words: Uint32Array.from(lists.flat()), at, area };
  known.set(key, made);
  return made;
}

/** How images are cut into chunks, each with partial sums of its own: by shapes only. */
function chunksOf(spec: { batch: number; positions: number; partialBytes: number }): { count: number; images: number } {
  const { batch, positions, partialBytes } = spec;
  const most = Math.max(1, Math.floor(PARTIAL_BYTES / partialBytes));
  const wanted = Math.max(1, Math.round(CHUNK_POSITIONS / positions));
  const images = Math.max(Math.min(wanted, batch), Math.ceil(batch / most));
  return { count: Math.ceil(batch / images), images };
}

/** @returns false where the memory has no room */
function fromDisplacements(
  engine: Engine,
  { shape, images, out, sums, beta = 0 }: WindowGramSpec,
  windows: number,
): boolean {
  const { batch, height, width, channels, kernel } = shape;
  const [from, to] = channelsOf(shape);
  const count = to - from;
  const size = images.BYTES_PER_ELEMENT;
  const bits = size * 8;
  const tables = tablesOf(shape, channels * size);
  const { displacements, rectangles, pairs, words, area } = tables;
  const partialBytes = ceilTo(rectangles.length * count ** 2 * size, 64);
  const sumsBytes = sums ? ceilTo(displacements[0]!.end * count * 8, 64) : 0;
  const chunks = chunksOf({ batch, positions: windows / batch, partialBytes });
  const tableBytes = ceilTo(words.byteLength, 64);
  const isAdded = chunks.count > 1;
  const workspace = tableBytes + chunks.count * sumsBytes + (chunks.count + Number(isAdded)) * partialBytes;
  const operands = [
    { vector: images, use: "in" },
    { vector: out.data, use: beta === 1 ? "both" : "out" },
  ] as const;
  return withResidents(engine, { operands, workspace }, (addresses) => {
    const [source, target, table] = addresses as [number, number, number];
    engine.memory.u32.set(words, table / 4);
    const [ways, corners, pair, part] = tables.at.map((offset) => table + offset) as [number, number, number, number];
    const sumsAt = table + tableBytes;
    const partials = sumsAt + chunks.count * sumsBytes;
    const squares = isAdded ? partials + chunks.count * partialBytes : partials;
    engine.run(
      `windowCorrelations${bits}`,
      chunks.count * displacements.length,
      (batch * area * count ** 2) / (size === 4 ? 16 : 8),
      ...[source + from * size, ways, displacements.length, corners, height, width, channels, count],
      ...[batch, chunks.images, partials, partialBytes, sums ? sumsAt : 0, sumsBytes],
    );
    const added = { rows: 1, cols: partialBytes / size };
    if (isAdded) addSegments(engine, { partials, chunks: chunks.count, target: squares, out: added, bits });
    engine.run(
      `windowBlocks${bits}`,
      pairs.length * count,
      pairs.length * count ** 2 * 1.5,
      ...[squares, pair, part, count, kernel[0] * kernel[1], target, beta],
    );
    if (sums) addTaps(engine, { sums, beta, tables, count, at: sumsAt, chunks: chunks.count, sumsBytes });
  });
}

/** The sums of every tap, which sees the rectangles of the pair of it and itself; added up in f64. */
function addTaps(
  { memory }: Engine,
  spec: {
    sums: Vec;
    beta: number;
    tables: WindowPairs;
    count: number;
    at: number;
    chunks: number;
    sumsBytes: number;
  },
): void {
  const { sums, beta, tables, count, at, chunks, sumsBytes } = spec;
  const { f64 } = memory;
  for (const { taps, parts } of tables.pairs) {
    if (taps[0] !== taps[1]) continue;
    for (let c = 0; c < count; c++) {
      let sum = beta === 1 ? sums[taps[0] * count + c]! : 0;
      for (let chunk = 0; chunk < chunks; chunk++) {
        const start = (at + chunk * sumsBytes) / 8;
        for (const part of parts) sum += f64[start + part * count + c]!;
      }
      sums[taps[0] * count + c] = sum;
    }
  }
}
