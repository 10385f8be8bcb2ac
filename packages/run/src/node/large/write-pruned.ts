/** Files of weights copied with some of them zero, a chunk at a time; nothing but zeros is left out, so that sparse files stay sparse. */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { throwIfAborted } from "@secateur/core";
import { tooLargeFor } from "../../errors.ts";
import type { DistantWeight } from "./large-onnx.ts";
import { areZero, elementBytes, keysOf, type Threshold } from "./magnitude-threshold.ts";

/** What became of a weight. */
export interface PrunedWeight {
  readonly kept: number;
  readonly nonzeros: number;
  /** Half of the sum of squares of what was removed. */
  readonly objective: number;
}

/** One copy to make. */
export interface FileCopy {
  readonly from: string;
  readonly to: string;
}

const chunkBytes = 2 ** 24;

/**
 * Copies files with the weights below a threshold zero. The copies appear when all of them are whole, or not at all.
 *
 * @returns by weight what became of it
 * @throws ERR_ABORTED; ERR_USAGE for weights that overlap
 */
export function writePruned(
  copies: readonly FileCopy[],
  weights: readonly DistantWeight[],
  { threshold, signal, source }: { threshold: Threshold; signal: AbortSignal; source: string },
): ReadonlyMap<DistantWeight, PrunedWeight> {
  const state = { ...threshold, results: new Map<DistantWeight, PrunedWeight>() };
  const written: FileCopy[] = [];
  try {
    for (const [i, { from, to }] of copies.entries()) {
      const temporary = temporaryAt(to, i);
      written.push({ from: temporary, to });
      const own = weights.filter(({ file }) => file === from).sort((a, b) => a.offset - b.offset);
      copyFile({ from, to: temporary }, own, { state, signal, source });
    }
    for (const { from, to } of written) renameSync(from, to);
  } finally {
    for (const { from } of written) rmSync(from, { force: true });
  }
  return state.results;
}

/**
 * Copies files and lets `change` write into the copies, which are put in place when it is done, or not at all.
 *
 * @param change - `copyOf` a file is what becomes its copy, or the file itself where it has none
 * @throws what `change` throws; ERR_ABORTED
 */
export async function changedCopies<T>(
  copies: readonly FileCopy[],
  { signal, source }: { signal: AbortSignal; source: string },
  change: (copyOf: (file: string) => string) => Promise<T>,
): Promise<T> {
  const made = copies.map(({ from, to }, i) => ({ from, temporary: temporaryAt(to, i), to }));
  try {
    const state = { key: 0, ties: 0, results: new Map() };
    for (const { from, temporary } of made) copyFile({ from, to: temporary }, [], { state, signal, source });
    const result = await change((file) => made.find(({ from }) => from === file)?.temporary ?? file);
    for (const { temporary, to } of made) {
      const handle = openSync(temporary, "r+");
      fsyncSync(handle);
      closeSync(handle);
      renameSync(temporary, to);
    }
    return result;
  } finally {
    for (const { temporary } of made) rmSync(temporary, { force: true });
  }
}

/** A file beside another one, which takes its place when it is whole. */
function temporaryAt(to: string, i: number): string {
  return join(dirname(to), `.secateur-${process.pid}-large-${i}.tmp`);
}

interface State extends Threshold {
  /** Of those equal to the threshold, how many may still be kept. */
  ties: number;
  readonly results: Map<DistantWeight, PrunedWeight>;
}

function copyFile(
  { from, to }: FileCopy,
  weights: readonly DistantWeight[],
  { state, signal, source }: { state: State; signal: AbortSignal; source: string },
): void {
  const [input, output] = [openSync(from, "r"), openSync(to, "wx")];
  const buffer = new Uint8Array(chunkBytes);
  const copy = (start: number, end: number, change: (bytes: Uint8Array) => void): void => {
    for (let at = start; at < end; ) {
      throwIfAborted(signal);
      const read = readSync(input, buffer, 0, Math.min(buffer.length, end - at), at);
      if (read === 0) return;
      const bytes = buffer.subarray(0, read);
      change(bytes);
      if (!areZero(bytes)) writeSync(output, bytes, 0, read, at);
      at += read;
    }
  };
  try {
    const { size } = statSync(from);
    ftruncateSync(output, size);
    let end = 0;
    for (const weight of weights) {
      if (weight.offset < end) throw tooLargeFor({ path: source, what: `'${weight.name}', which shares its bytes,` });
      copy(end, weight.offset, () => {});
      end = weight.offset + weight.size * elementBytes[weight.dtype]!;
      const sums = { kept: 0, nonzeros: 0, objective: 0 };
      copy(weight.offset, end, (bytes) => zeroBelow(bytes, weight.dtype, { state, sums }));
      state.results.set(weight, sums);
    }
    copy(end, size, () => {});
    fsyncSync(output);
  } finally {
    closeSync(input);
    closeSync(output);
  }
}

function zeroBelow(
  bytes: Uint8Array,
  dtype: string,
  { state, sums }: { state: State; sums: { kept: number; nonzeros: number; objective: number } },
): void {
  if (areZero(bytes) && state.key > 0) return;
  const keys = keysOf(bytes, dtype);
  const magnitudes = new Float32Array(keys.buffer);
  const { buffer, byteOffset } = bytes;
  const elements =
    elementBytes[dtype] === 4
      ? new Uint32Array(buffer, byteOffset, keys.length)
      : new Uint16Array(buffer, byteOffset, keys.length);
  for (let i = 0; i < keys.length; i++) {
    const isKept = keys[i]! > state.key || (keys[i] === state.key && state.ties-- > 0);
    if (isKept) {
      sums.kept++;
      if (keys[i] !== 0) sums.nonzeros++;
    } else {
      sums.objective += magnitudes[i]! ** 2 / 2;
      elements[i] = 0;
    }
  }
}
