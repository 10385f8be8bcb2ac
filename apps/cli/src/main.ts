#!/usr/bin/env node
/** The `secateur` executable: hands the process's streams and signals to `main`. */
import process from "node:process";
import { main } from "./cli.ts";
import { exitCodes } from "./failure.ts";
import { interruptSignal } from "./interrupt-signal.ts";

// A worker gives its jobs back first.
const signal = interruptSignal(process.argv[2] === "worker" ? { graceMs: 25_000 } : {});
// `secateur inspect model | head` closes the pipe early, which is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  process.stderr.write(`secateur: the result cannot be written to stdout (${error.message}) [ERR_STDOUT]\n`);
  process.exit(1);
});
// Messages that nobody can receive are no reason to fail: the exit code still tells.
process.stderr.on("error", () => {});

const cwd = workingFolder();
process.exitCode =
  cwd === undefined
    ? exitCodes.badInput
    : await main(process.argv.slice(2), { stdout: process.stdout, stderr: process.stderr, cwd, signal });
// Work that cannot be called off, such as a compression under way, must not keep an interrupted process alive.
if (signal.aborted) process.exit();

/** The folder that relative paths start from. */
function workingFolder(): string | undefined {
  try {
    return process.cwd();
  } catch {
    process.stderr.write(
      "secateur: the folder that you are in was deleted; change to one that is there [ERR_FOLDER]\n",
    );
    return undefined;
  }
}
