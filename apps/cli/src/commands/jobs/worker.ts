/** `secateur worker` and `secateur status`: the machines behind a queue. */
import { availableParallelism } from "node:os";
import { runStatus, runWorker, statusText, workerText } from "@secateur/run/node/jobs/run-worker";
import { type Command, Option } from "commander";
import { addMessageFlags } from "../../flags/common-flags.ts";
import { numberParser, wholeParser } from "../../flags/number.ts";
import { addQueueFlags, type JobFlags, workFlags } from "../../flags/work-flags.ts";
import { printResult } from "../../run/print-result.ts";
import type { Terminal } from "../../terminal.ts";

const examples = `
Examples:
  secateur worker --queue redis://host:6379 --store /shared/store
  SECATEUR_QUEUE=rediss://user:password@host:6380 secateur worker --store /shared/store --jobs 4 --memory 8`;

/** Adds `secateur worker`. */
export function addWorkerCommand(program: Command, terminal: Terminal): void {
  const worker = program
    .command("worker")
    .description(
      "Take runs from a queue and make them, each in a thread, until terminated: then running ones stop at their next safe points and go back to the queue. Runs only what this program and the plugins of its folder define.",
    );
  addQueueFlags(worker);
  worker
    .addOption(
      new Option("--jobs <n>", "runs at a time (default: the machine's cores)").argParser(
        wholeParser("--jobs", 1, 256),
      ),
    )
    .addOption(
      new Option("--memory <gib>", "end the running jobs where the process takes more (default: no limit)").argParser(
        numberParser({ flag: "--memory", allowed: "a number of GiB above 0", accepts: (value) => value > 0 }),
      ),
    )
    .addOption(
      new Option("--idle <seconds>", "end after so long without a run (default: never)").argParser(
        wholeParser("--idle", 1),
      ),
    );
  addMessageFlags(worker, { hasEvents: false });
  worker.addHelpText("after", examples).action(async () => {
    const flags = worker.opts<
      JobFlags & { jobs?: number; memory?: number; idle?: number; json?: boolean; quiet?: boolean }
    >();
    const { queue, store } = workFlags(flags, terminal, true);
    const { cwd, signal } = terminal;
    const document = await runWorker({
      ...{ queue, store, cwd, signal, jobs: flags.jobs ?? availableParallelism(), idleSeconds: flags.idle },
      memoryBytes: flags.memory === undefined ? undefined : flags.memory * 2 ** 30,
      onEvent: (event) => !flags.quiet && terminal.stderr.write(`${workerText(event)}\n`),
    });
    printResult({ terminal, flags, document, text: () => `${document.done} runs made, ${document.failed} failed\n` });
  });
}

/** Adds `secateur status`. */
export function addStatusCommand(program: Command, terminal: Terminal): void {
  const status = program.command("status").description("Print how many runs wait in a queue, and what its workers do.");
  addQueueFlags(status);
  status.option("--empty", "take out what waits or failed; what runs goes on, and finished work stays in the store");
  addMessageFlags(status, { hasEvents: false });
  const example = "\nExample:\n  secateur status --queue redis://host:6379 --store /shared/store";
  status.addHelpText("after", example).action(async () => {
    const flags = status.opts<JobFlags & { empty?: boolean; json?: boolean; quiet?: boolean }>();
    const { queue, store } = workFlags(flags, terminal, true);
    const document = await runStatus({ queue, store, cwd: terminal.cwd, empty: flags.empty === true });
    printResult({ terminal, flags, document, text: () => statusText(document) });
  });
}
