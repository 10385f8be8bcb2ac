/** Files beside an output under names of their own: what is written there is moved into place when it is whole. */
import type { FileHandle } from "node:fs/promises";
import { nodeFs, nodePath, systemErrorCode } from "./node-fs.ts";
import type { OutputPlace } from "./output-path.ts";

/** A file that is being written. */
export interface UnfinishedFile {
  readonly handle: FileHandle;
  readonly name: string;
}

/** Names of files being written; removed when the process exits before they are moved into place. */
const unfinishedNames = new Set<string>();
let isExitWatched = false;

function watchExit(): void {
  if (isExitWatched) return;
  isExitWatched = true;
  process.once("exit", () => {
    for (const name of unfinishedNames) nodeFs("removing unfinished files").rmSync(name, { force: true });
  });
}

/** Opens a new file in the target's folder, since only there a rename is sure to be one step. */
export async function openBeside(place: OutputPlace): Promise<UnfinishedFile> {
  const folder = nodePath("writing").dirname(place.target);
  for (let attempt = 0; ; attempt++) {
    // Not made from the target's name, which may be as long as names can be.
    const name = nodePath("writing").join(folder, `.secateur-${process.pid}-${attempt}.tmp`);
    try {
      const handle = await nodeFs("writing").promises.open(name, "wx", place.mode ?? 0o666);
      watchExit();
      unfinishedNames.add(name);
      return { handle, name };
    } catch (error) {
      // Another write of this process, or what a killed one of the same id left.
      if (systemErrorCode(error) !== "EEXIST" || attempt === 1000) throw error;
    }
  }
}

/** Closes the file where it is still open and removes its name beside the target, which is gone already after a rename. */
export async function discard({ handle, name }: UnfinishedFile): Promise<void> {
  await handle.close();
  await nodeFs("writing").promises.rm(name, { force: true });
  unfinishedNames.delete(name);
}
