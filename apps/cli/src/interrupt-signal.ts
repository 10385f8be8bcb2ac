import process from "node:process";

/** How long an interrupted run may take to stop by itself; then it is stopped. Unfinished files are removed at exit. */
const usualGraceMs = 900;

/** A signal that fires on Ctrl-C and on termination; a second one, or a run that does not stop, ends the process. */
export function interruptSignal({ graceMs = usualGraceMs }: { graceMs?: number } = {}): AbortSignal {
  const controller = new AbortController();
  const end = (): void => {
    process.stderr.write(
      "interrupted at once; a run that keeps a state goes on from it with --resume, runs in a store by the same command\n",
    );
    process.exit(130);
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) end();
      controller.abort(name);
      setTimeout(end, graceMs).unref();
    });
  }
  return controller.signal;
}
