import { posix } from "node:path";
import { isShipped } from "./import-rules.ts";
import type { WorkspacePackage } from "./workspace-package.ts";

/** Source files that one folder holds at most: more are hard to take in, and hide which belong together. */
const mostFiles = 15;

/** Folders of a package with too many source files, in words; tests do not count. */
export function folderViolations({ folder, sources }: Pick<WorkspacePackage, "folder" | "sources">): readonly string[] {
  const counts = new Map<string, number>();
  for (const file of sources.keys()) {
    // What is made by a build is no source.
    if (!isShipped(file) || file.includes("/generated/")) continue;
    counts.set(posix.dirname(file), (counts.get(posix.dirname(file)) ?? 0) + 1);
  }
  return [...counts].flatMap(([path, count]) =>
    count > mostFiles
      ? [
          `${folder}/${path} has ${count} source files, at most ${mostFiles} may stand side by side: group them by concept`,
        ]
      : [],
  );
}
