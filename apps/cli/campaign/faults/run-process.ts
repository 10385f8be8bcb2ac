import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** The built executable. */
const executable = fileURLToPath(new URL("../../dist/main.js", import.meta.url));

/** How a process ended. */
export interface EndedProcess {
  /** null after a signal */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** Starts the command line in a folder. @param shell - a line of sh that ends in `exec "$@"`, to set limits before */
export function startProcess(
  argv: readonly string[],
  options: { cwd: string; shell?: string },
): { child: ChildProcess; ended: Promise<EndedProcess> } {
  const { cwd, shell } = options;
  const started = performance.now();
  const command = [process.execPath, executable, ...argv];
  const [file = "", ...args] = shell === undefined ? command : ["sh", "-c", shell, "sh", ...command];
  const child = spawn(file, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  child.stdout?.on("data", (chunk) => {
    stdout += String(chunk);
  });
  let stderr = "";
  child.stderr?.on("data", (chunk) => {
    stderr += String(chunk);
  });
  const ended = new Promise<EndedProcess>((resolve) => {
    child.on("close", (code) => resolve({ code, stdout, stderr, ms: performance.now() - started }));
  });
  return { child, ended };
}

/** Runs to the end. */
export async function runProcess(
  argv: readonly string[],
  options: { cwd: string; shell?: string },
): Promise<EndedProcess> {
  return await startProcess(argv, options).ended;
}
