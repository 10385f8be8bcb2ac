/** Peers that are written in Python, each call a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("./peers.py", import.meta.url));

/** A Python and what it has. */
export interface Python {
  /** Names and versions, in a line. */
  readonly described: string;
  has(...names: readonly string[]): boolean;
  /** Runs a part of peers.py with a number of threads; its lines. @throws where it fails, with what it said */
  call(args: readonly string[], threads: number): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

/** Asks a Python for what it has; one that is not there has nothing. */
export async function openPython(program: string): Promise<Python> {
  const call: Python["call"] = async (args, threads) => {
    const count = String(threads);
    const env = {
      OMP_NUM_THREADS: count,
      OPENBLAS_NUM_THREADS: count,
      MKL_NUM_THREADS: count,
      NUMBA_NUM_THREADS: count,
    };
    const child = spawn(program, [script, ...args], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const closed = once(child, "close");
    const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
    if (code !== 0) throw new Error(`${program} ${args[0]}: ${errors.trim().split("\n").at(-1)}`);
    const lines = output.split("\n").filter((line) => line.startsWith("{"));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  const found = new Map<string, string | null>();
  try {
    for (const { name, version } of await call(["versions"], 1)) found.set(name as string, version as string | null);
  } catch {
    return { described: `${program}: not there`, has: () => false, call };
  }
  const named = [...found].map(([name, version]) => `${name} ${version ?? "not installed"}`);
  return {
    described: named.join(", "),
    has: (...names) => names.every((name) => typeof found.get(name) === "string"),
    call,
  };
}
