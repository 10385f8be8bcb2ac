import { outputNotWritable } from "../errors.ts";
import { nodeFs, nodePath, systemErrorCode } from "./node-fs.ts";

/**
 * Makes a folder and those above it that are missing. Node only.
 *
 * @param path - the folder; one that is there stays as it is
 * @throws ERR_OUTPUT_NOT_WRITABLE
 */
export async function makeFolder(path: string): Promise<void> {
  const { dirname } = nodePath(`making ${path}`);
  const { promises } = nodeFs(`making ${path}`);
  try {
    // Level by level: where a system refuses new folders in one that is there (/proc does), Node's recursive mkdir never returns.
    await promises.mkdir(path);
  } catch (cause) {
    const code = systemErrorCode(cause);
    const isThere = await promises.stat(path).then(
      (stat) => stat.isDirectory(),
      () => false,
    );
    if (code === "EEXIST" && isThere) return;
    const above = dirname(path);
    const isAboveThere = await promises.stat(above).then(
      () => true,
      () => false,
    );
    if (code !== "ENOENT" || isAboveThere || above === path) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw outputNotWritable({ path, reason, cause });
    }
    await makeFolder(above);
    await makeFolder(path);
  }
}
