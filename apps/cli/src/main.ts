#!/usr/bin/env node
/** The `secateur` executable: hands the process's streams and signals to `main`. */
import process from "node:process";
import { main } from "./cli.ts";

/** How long an interrupted run may take to stop by itself; then it is stopped. Unfinished files are removed at exit. */
const graceMs = 900;

const controller = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(name);
    setTimeout(() => process.exit(130), graceMs).unref();
  });
}
// `secateur inspect model | head` closes the pipe early, which is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exitCode = await main(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  cwd: process.cwd(),
  signal: controller.signal,
});
// Work that cannot be called off, such as a compression under way, must not keep an interrupted process alive.
if (controller.signal.aborted) process.exit();
