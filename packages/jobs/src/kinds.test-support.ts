/** Kinds of jobs for tests. */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { createRunContext } from "@secateur/core";
import type { Json } from "./job/canonical-json.ts";
import type { JobContent } from "./job/job.ts";
import { findRecord, type JobKinds, type JobSurroundings, readResult } from "./job/perform-job.ts";

/** Adds settings.value to the results of the jobs before it, in their order. */
async function add({ settings, after }: JobContent, { store }: JobSurroundings): Promise<{ result: Json }> {
  let total = (settings as { value: number }).value;
  for (const id of after) total = 2 * total + ((await readResult(store, id, (await findRecord(store, id))!)) as number);
  return { result: total };
}

/** Computes for so many milliseconds without letting anything else run, then gives what it was told to. */
async function busy({ settings }: JobContent): Promise<{ result: Json }> {
  const { ms, value } = settings as { ms: number; value: number };
  for (const end = performance.now() + ms; performance.now() < end; );
  return { result: value };
}

/** Waits so many milliseconds, with a safe point in each. */
async function wait({ settings }: JobContent, { signal, onEvent }: JobSurroundings): Promise<{ result: Json }> {
  const { ms, value } = settings as { ms: number; value: number };
  const ctx = createRunContext({ signal, onEvent });
  for (let done = 0; done < ms; done++) {
    await sleep(1);
    await ctx.tick({ task: "wait", done, total: ms });
  }
  return { result: value };
}

export const testKinds: JobKinds = {
  ...{ add, busy, wait },
  fail: () => Promise.reject(createError()),
  exit: () => process.exit(3),
  async grow({ settings }) {
    const { mib, ms } = settings as { mib: number; ms: number };
    const held = new Uint8Array(mib * 2 ** 20).fill(1);
    await sleep(ms);
    return { result: held.length };
  },
};

function createError(): Error {
  const error = new Error("this job always fails");
  return Object.assign(error, { name: "PruneError", code: "ERR_TEST", fault: "runtime", details: { is: 1 } });
}
