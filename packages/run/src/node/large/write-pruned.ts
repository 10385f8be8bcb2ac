/** Files of weights copied with some of them zero, a chunk at a time; nothing but zeros is left out, so that sparse files stay sparse. */
import { randomUUID } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { throwIfAborted } from "@secateur/core";
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

/** A text or bytes to write beside the copies. */
export interface FileMade {
  readonly to: string;
  readonly content: Uint8Array | string;
}

/** What is written together. */
export interface WriteSpec {
  readonly copies: readonly FileCopy[];
  readonly made: readonly FileMade[];
  readonly signal: AbortSignal;
}

/**
 * Copies files with the weights below a threshold zero. The outputs appear when all of them are whole, or not at all.
 *
 * @returns by weight what became of it
 * @throws ERR_ABORTED
 */
export async function writePruned(
  spec: WriteSpec,
  weights: readonly DistantWeight[],
  threshold: Threshold,
): Promise<ReadonlyMap<DistantWeight, PrunedWeight>> {
  const state: State = { ...threshold, results: new Map() };
  await writtenTogether(spec, async ({ from, temporary }) => {
    const own = weights.filter(({ file }) => file === from).sort((a, b) => a.offset - b.offset);
    await copyFile({ from, to: temporary }, own, { state, signal: spec.signal });
  });
  return state.results;
}

/**
 * Copies files and lets `change` write into the copies. The outputs appear when it is done, or not at all.
 *
 * @param change - `copyOf` a file is what becomes its copy, or the file itself where it has none
 * @throws what `change` throws; ERR_ABORTED
 */
export async function changedCopies<T>(
  spec: WriteSpec,
  change: (copyOf: (file: string) => string) => Promise<T>,
): Promise<T> {
  const copyOf = new Map<string, string>();
  const state: State = { key: 0, ties: 0, results: new Map() };
  return await writtenTogether(
    spec,
    async ({ from, temporary }) => {
      copyOf.set(from, temporary);
      await copyFile({ from, to: temporary }, [], { state, signal: spec.signal });
    },
    async () => await change((file) => copyOf.get(file) ?? file),
  );
}

/** Makes all files under other names beside their places, and moves them there when all are whole. */
async function writtenTogether<T>(
  { copies, made, signal }: WriteSpec,
  copy: (file: { readonly from: string; readonly temporary: string }) => Promise<void>,
  then?: () => Promise<T>,
): Promise<T> {
  const created: { readonly temporary: string; readonly to: string }[] = [];
  const beside = (to: string): string => {
    const temporary = join(dirname(to), `.secateur-${randomUUID()}.tmp`);
    closeSync(openSync(temporary, "wx"));
    created.push({ temporary, to });
    return temporary;
  };
  try {
    for (const { from, to } of copies) await copy({ from, temporary: beside(to) });
    const result = (await then?.()) as T;
    for (const { to, content } of made) writeFileSync(beside(to), content);
    for (const { temporary } of created) {
      const handle = openSync(temporary, "r+");
      fsyncSync(handle);
      closeSync(handle);
    }
    throwIfAborted(signal);
    for (const { temporary, to } of created) renameSync(temporary, to);
    return result;
  } finally {
    for (const { temporary } of created) rmSync(temporary, { force: true });
  }
}

interface State extends Threshold {
  /** Of those equal to the threshold, how many may still be kept. */
  ties: number;
  readonly results: Map<DistantWeight, PrunedWeight>;
}

async function copyFile(
  { from, to }: FileCopy,
  weights: readonly DistantWeight[],
  { state, signal }: { state: State; signal: AbortSignal },
): Promise<void> {
  const [input, output] = [openSync(from, "r"), openSync(to, "r+")];
  const buffer = new Uint8Array(chunkBytes);
  const copy = async (start: number, end: number, change: (bytes: Uint8Array) => void): Promise<void> => {
    for (let at = start; at < end; ) {
      // Whoever interrupts is heard between chunks.
      await setImmediate();
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
      await copy(end, weight.offset, () => {});
      end = weight.offset + weight.size * elementBytes[weight.dtype]!;
      const sums = { kept: 0, nonzeros: 0, objective: 0 };
      await copy(weight.offset, end, (bytes) => zeroBelow(bytes, weight.dtype, { state, sums }));
      state.results.set(weight, sums);
    }
    await copy(end, size, () => {});
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
