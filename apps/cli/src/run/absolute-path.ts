import { resolve } from "node:path";
import type { Terminal } from "../terminal.ts";

/** A path that the user gave, as an absolute one; relative paths start from the terminal's folder. */
export function absolutePath(terminal: Pick<Terminal, "cwd">, path: string): string {
  return path === "" ? path : resolve(terminal.cwd, path);
}
