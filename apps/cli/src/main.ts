#!/usr/bin/env node
/** The `secateur` executable: hands the process's streams and signals to `main`. */
import process from "node:process";
import { main } from "./cli.ts";
import { interruptSignal } from "./interrupt-signal.ts";

const signal = interruptSignal();
// `secateur inspect model | head` closes the pipe early, which is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  process.stderr.write(`secateur: the result cannot be written to stdout (${error.message}) [ERR_STDOUT]\n`);
  process.exit(1);
});
// Messages that nobody can receive are no reason to fail: the exit code still tells.
process.stderr.on("error", () => {});

process.exitCode = await main(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  cwd: process.cwd(),
  signal,
});
// Work that cannot be called off, such as a compression under way, must not keep an interrupted process alive.
if (signal.aborted) process.exit();
