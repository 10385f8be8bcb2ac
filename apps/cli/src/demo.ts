/** `npm run demo`: hands the process's streams and signals to the demo. */
import { resolve } from "node:path";
import process from "node:process";
import { runDemo } from "./demo/run-demo.ts";
import { reportFailure } from "./failure.ts";
import { interruptSignal } from "./interrupt-signal.ts";

const terminal = {
  stdout: process.stdout,
  stderr: process.stderr,
  cwd: process.cwd(),
  signal: interruptSignal(),
};

try {
  await runDemo({ terminal, folder: resolve(process.argv[2] ?? "secateur-demo") });
} catch (error) {
  process.exitCode = reportFailure(error, "demo", terminal);
  if (terminal.signal.aborted) process.exit();
}
