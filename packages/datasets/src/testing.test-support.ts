/** What several tests of this package share: small idx files in a folder of their own. */
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isPruneError, type PruneError } from "@secateur/core";
import { afterEach, beforeEach } from "vitest";

/** An idx file of unsigned bytes. */
export function idxFile(shape: readonly number[], data: Uint8Array): Uint8Array {
  const file = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(file.buffer);
  view.setUint32(0, 0x0800 + shape.length);
  shape.forEach((extent, axis) => {
    view.setUint32(4 + 4 * axis, extent);
  });
  file.set(data, 4 + 4 * shape.length);
  return file;
}

/** Bytes 0, 1, 2, ... from `start` on, modulo 256. */
export function counting(length: number, start = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => start + i);
}

/** A whole small dataset: 4 training and 2 test images of 2 x 3 pixels. */
export const SMALL_DATASET: Readonly<Record<string, Uint8Array>> = {
  "train-images-idx3-ubyte": idxFile([4, 2, 3], counting(24)),
  "train-labels-idx1-ubyte": idxFile([4], Uint8Array.of(3, 0, 9, 1)),
  "t10k-images-idx3-ubyte": idxFile([2, 2, 3], counting(12, 244)),
  "t10k-labels-idx1-ubyte": idxFile([2], Uint8Array.of(7, 2)),
};

/** Gives each test of a file an empty folder, removed afterwards; returns how to fill it. */
export function useFolder(): {
  path(name?: string): string;
  write(files: Readonly<Record<string, Uint8Array>>): string;
} {
  let folder = "";
  beforeEach(() => {
    folder = fs.mkdtempSync(join(tmpdir(), "secateur-datasets-"));
  });
  afterEach(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });
  return {
    path: (name = "") => join(folder, name),
    write(files) {
      for (const [name, content] of Object.entries(files)) fs.writeFileSync(join(folder, name), content);
      return folder;
    },
  };
}

/** The PruneError that a call or promise ends in; fails the test on any other error and on none. */
export async function errorOf(call: () => unknown): Promise<PruneError> {
  try {
    await call();
  } catch (error) {
    if (isPruneError(error)) return error;
    throw new Error("threw something else than a PruneError", { cause: error });
  }
  throw new Error("threw nothing");
}
