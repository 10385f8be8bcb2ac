/**
 * Files of a store appear whole or not at all: written under another name beside their own, then renamed. They are not flushed to the disk, which would
 * take longer than most jobs: what a power cut leaves of one is found by its hash when it is read, and is made again.
 */
import { randomUUID } from "node:crypto";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { storeFailed, storeFull } from "../errors.ts";

/**
 * Writes by `fill` and moves into place. A process that is killed leaves a file "tmp-..." at most, which nobody reads.
 *
 * @param spec.place - of the store, for messages
 * @throws ERR_STORE_FULL, ERR_STORE
 */
export async function writeWhole(spec: {
  path: string;
  place: string;
  fill: (temporary: string) => Promise<void>;
  /** Default: that of the system; a test has one that fails. */
  move?: typeof rename;
}): Promise<void> {
  const { path, place, fill, move = rename } = spec;
  const temporary = join(dirname(path), `tmp-${randomUUID()}`);
  try {
    await fill(temporary).catch(async (error: NodeJS.ErrnoException) => {
      // The folder is there but for the first file in it, and asking each time costs as much as writing.
      if (error.code !== "ENOENT") throw error;
      await mkdir(dirname(path), { recursive: true });
      await fill(temporary);
    });
    await moved({ temporary, path, move });
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw explainWrite(place, error);
  }
}

/** On Windows a file that somebody reads, or a scanner of viruses, cannot be replaced for a moment. */
const passing: ReadonlySet<string> = new Set(["EPERM", "EACCES", "EBUSY", "EEXIST"]);
const pausesMs = [5, 20, 80, 320, 1280];

async function moved(spec: { temporary: string; path: string; move: typeof rename }): Promise<void> {
  const { temporary, path, move } = spec;
  for (const pause of pausesMs) {
    try {
      await move(temporary, path);
      return;
    } catch (error) {
      if (!passing.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
      await sleep(pause);
    }
  }
  await move(temporary, path);
}

/** What a failure to write means. */
export function explainWrite(place: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") return storeFull(place, error);
  return code === undefined ? error : storeFailed({ place, what: "written", cause: error });
}
