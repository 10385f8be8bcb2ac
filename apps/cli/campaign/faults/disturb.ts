/** Runs that are killed, find no room, lose their folder or meet another writer, and what must hold after each. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Rng } from "@secateur/core";
import { type EndedProcess, runProcess, startProcess } from "./run-process.ts";
import { type FaultScenario, writeTask } from "./task.ts";

/** What an undisturbed run gives. */
export interface Reference {
  readonly outputs: ReadonlyMap<string, Buffer>;
  /** What was printed; absent where it says nothing that has to be the same again. */
  readonly result?: string;
  readonly ms: number;
}

/** A promise that was broken, in words; undefined where all held. */
export type Verdict = string | undefined;

/** Runs a scenario without disturbance. */
export async function referenceOf(scenario: FaultScenario): Promise<Reference> {
  return await inFolder(async (cwd) => {
    const { code, stdout, stderr, ms } = await runProcess(scenario.argv, { cwd });
    if (code !== 0) throw new Error(`${scenario.name} does not run: ${stderr}`);
    const outputs = new Map(scenario.outputs.map((name) => [name, readFileSync(join(cwd, name))]));
    return { outputs, ms, ...(scenario.result ? { result: scenario.result(stdout) } : {}) };
  });
}

/** SIGKILL at a random moment; then the same command goes on, and gives the bytes of the undisturbed run. */
export async function killAndResume(scenario: FaultScenario, reference: Reference, rng: Rng): Promise<Verdict> {
  return await inFolder(async (cwd) => {
    const { child, ended } = startProcess(scenario.argv, { cwd });
    await Promise.race([sleep(rng.next() * reference.ms * 1.05), ended]);
    child.kill("SIGKILL");
    const killed = await ended;
    const half = halfWritten(scenario, reference, cwd);
    if (half !== undefined) return half;
    // It was faster.
    if (killed.code === 0 && scenario.resume.length > 0) return await resumedWhenFinished({ scenario, reference, cwd });
    const again = await runProcess([...scenario.argv, ...scenario.resume], { cwd });
    if (again.code !== 0) return `after a kill it does not go on: ${again.stderr.slice(-300)}`;
    const state = readdirSync(cwd).find((name) => /\.resume\.|\.training\./.test(name));
    // Killed when all was done, it has nothing to print again.
    const printsNothing = reference.result === undefined || /is finished/.test(again.stderr);
    if (!printsNothing && scenario.result?.(again.stdout) !== reference.result)
      return "what it prints is another result";
    return differing(scenario, reference, cwd) ?? (state === undefined ? undefined : `${state} is left behind`);
  });
}

/** A run that is asked to go on when it is finished says so, and leaves everything as it is. */
export async function finishedAndResumed(scenario: FaultScenario, reference: Reference): Promise<Verdict> {
  if (scenario.resume.length === 0) return undefined; // it never goes on
  return await inFolder(async (cwd) => {
    const { code, stderr } = await runProcess(scenario.argv, { cwd });
    return code === 0
      ? await resumedWhenFinished({ scenario, reference, cwd })
      : `it does not run: ${stderr.slice(-300)}`;
  });
}

async function resumedWhenFinished(spec: {
  scenario: FaultScenario;
  reference: Reference;
  cwd: string;
}): Promise<Verdict> {
  const { scenario, reference, cwd } = spec;
  const stamps = () => readdirSync(cwd).map((name) => `${name} ${statSync(join(cwd, name)).mtimeMs}`);
  const before = stamps().join();
  const { code, stderr } = await runProcess([...scenario.argv, ...scenario.resume], { cwd });
  if (code !== 0 || !/is finished/.test(stderr)) return `finished, it does not say so (${code}): ${stderr.slice(-300)}`;
  if (stamps().join() !== before) return "finished, it writes again";
  return differing(scenario, reference, cwd);
}

/** Files may grow to 2 kB: the network does not fit, and a message says so, with nothing half-written. */
export async function fullDisk(scenario: FaultScenario, reference: Reference): Promise<Verdict> {
  return await inFolder(async (cwd) => {
    // The signal would end the process before it could say anything, as no full disk does.
    const ended = await runProcess(scenario.argv, { cwd, shell: `trap '' XFSZ; ulimit -f 4; exec "$@"` });
    if (ended.code === 0) return "a disk without room went unnoticed";
    return unexplained(ended) ?? halfWritten(scenario, reference, cwd);
  });
}

/** The folder is removed while the run is under way. */
export async function vanishedFolder(scenario: FaultScenario, reference: Reference, rng: Rng): Promise<Verdict> {
  return await inFolder(async (cwd) => {
    const { ended } = startProcess(scenario.argv, { cwd });
    await Promise.race([sleep(rng.next() * reference.ms), ended]);
    rmSync(cwd, { recursive: true, force: true });
    const result = await ended;
    return result.code === 0 ? undefined : unexplained(result);
  });
}

/** Two runs write to the same places: each is done or refused, and what is there is whole. */
export async function twoWriters(scenario: FaultScenario, reference: Reference): Promise<Verdict> {
  return await inFolder(async (cwd) => {
    const both = await Promise.all([runProcess(scenario.argv, { cwd }), runProcess(scenario.argv, { cwd })]);
    const refused = both.filter(({ code }) => code !== 0);
    if (refused.length === 2) return "neither of two runs was done";
    for (const one of refused) {
      const reason = unexplained(one);
      if (reason !== undefined) return reason;
    }
    // A refused run may keep its state: it is what --force or --resume would go on from.
    return differing(scenario, reference, cwd);
  });
}

/** A place where nobody may write, root included, is told in one message. */
export async function readOnlyPlace(scenario: FaultScenario): Promise<Verdict> {
  return await inFolder(async (cwd) => {
    const at = Math.max(scenario.argv.indexOf("--out"), scenario.argv.indexOf("--report")) + 1;
    const argv = scenario.argv.map((word, i) => (i === at ? `/proc/${word}` : word));
    const ended = await runProcess(argv, { cwd });
    return unexplained(ended);
  });
}

async function inFolder<T>(work: (cwd: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "secateur-faults-"));
  try {
    writeTask(join(folder, "run"));
    return await work(join(folder, "run"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One message with a code, no stack. */
function unexplained({ code, stderr }: EndedProcess): Verdict {
  const lines = stderr.trimEnd().split("\n");
  const isTold = /\[ERR_[A-Z_]+\]$/.test(lines.at(-1) ?? "") && !/\n {4}at /.test(stderr);
  return isTold && (code === 1 || code === 2)
    ? undefined
    : `code ${code} without one clear message: ${stderr.slice(-300)}`;
}

/** An output that is there is whole, and nothing else has its name. */
function halfWritten(scenario: FaultScenario, reference: Reference, cwd: string): Verdict {
  const wrong = scenario.outputs.find(
    (name) => existsSync(join(cwd, name)) && !readFileSync(join(cwd, name)).equals(reference.outputs.get(name)!),
  );
  return wrong === undefined ? undefined : `${wrong} is there and not whole`;
}

function differing(scenario: FaultScenario, reference: Reference, cwd: string): Verdict {
  const wrong = scenario.outputs.find(
    (name) => !existsSync(join(cwd, name)) || !readFileSync(join(cwd, name)).equals(reference.outputs.get(name)!),
  );
  return wrong === undefined ? undefined : `${wrong} is not what an undisturbed run gives`;
}
