/** Second moments of windows from sums over displacements (assembly/window-gram.ts), or, where the shape has no use for those, from written windows. */
import { checkWindowGram, gramOfWindows, type WindowGramSpec, type WindowShape } from "@secateur/core";
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

/** Tables as the kernels read them, one after the other. */
function tablesOf(
  tables: WindowPairs,
  pixelBytes: number,
  width: number,
): { words: Uint32Array; at: readonly number[] } {
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
  const words = Uint32Array.from(lists.flat());
  let start = 0;
  const at = lists.map((list) => {
    start += list.length * 4;
    return start - list.length * 4;
  });
  return { words, at };
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
  const tables = windowPairs(shape);
  const { displacements, rectangles, pairs } = tables;
  const { words, at } = tablesOf(tables, channels * size, width);
  // Sums of pixels lie behind the products.
  const length = rectangles.length * count ** 2 + displacements[0]!.end * count;
  const most = Math.max(1, Math.floor(PARTIAL_BYTES / (length * size)));
  const wanted = Math.max(1, Math.round((CHUNK_POSITIONS * batch) / windows));
  const chunkImages = Math.max(Math.min(wanted, batch), Math.ceil(batch / most));
  const chunks = Math.ceil(batch / chunkImages);
  const partialBytes = ceilTo(length * size, 64);
  const tableBytes = ceilTo(words.byteLength, 64);
  const operands = [
    { vector: images, use: "in" },
    { vector: out.data, use: beta === 1 ? "both" : "out" },
  ] as const;
  return withResidents(engine, { operands, workspace: tableBytes + (chunks + 1) * partialBytes }, (addresses) => {
    const [source, target, table] = addresses as [number, number, number];
    engine.memory.u32.set(words, table / 4);
    const [way, area, pair, part] = at.map((offset) => table + offset) as [number, number, number, number];
    const [squares, partials] = [table + tableBytes, table + tableBytes + partialBytes];
    const area32 = rectangles.reduce((sum, [top, bottom, left, right]) => sum + (bottom - top) * (right - left), 0);
    engine.run(
      `windowCorrelations${bits}`,
      chunks * displacements.length,
      (batch * area32 * count ** 2) / (size === 4 ? 16 : 8),
      ...[source + from * size, way, displacements.length, area, rectangles.length],
      ...[height, width, channels, count, batch, chunkImages, partials, partialBytes],
    );
    const added = { rows: 1, cols: partialBytes / size };
    addSegments(engine, { partials, chunks, target: squares, out: added, bits });
    engine.run(
      `windowBlocks${bits}`,
      pairs.length * count,
      cost(pairs.length, count),
      ...[squares, pair, part, count, kernel[0] * kernel[1], target, beta],
    );
    if (sums) addTaps(engine, { sums, beta, tables, count, at: squares + rectangles.length * count ** 2 * size });
  });
}

function cost(pairs: number, count: number): number {
  return pairs * count ** 2 * 1.5;
}

/** The sums of every tap, which sees the rectangles of the pair of it and itself. */
function addTaps(
  engine: Engine,
  {
    sums,
    beta,
    tables,
    count,
    at,
  }: { sums: WindowGramSpec["sums"] & object; beta: number; tables: WindowPairs; count: number; at: number },
): void {
  const view = engine.memory.viewLike(sums);
  const start = at / sums.BYTES_PER_ELEMENT;
  for (const { taps, parts } of tables.pairs) {
    if (taps[0] !== taps[1]) continue;
    for (let c = 0; c < count; c++) {
      let sum = beta === 1 ? sums[taps[0] * count + c]! : 0;
      for (const part of parts) sum += view[start + part * count + c]!;
      sums[taps[0] * count + c] = sum;
    }
  }
}
