import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { canonicalJson, decodeJson, encodeJson } from "../job/canonical-json.ts";
import { makeJob } from "../job/job.ts";
import { findRecord, readResult } from "../job/perform-job.ts";
import { testKinds } from "../kinds.test-support.ts";
import type { Store } from "../store/store.ts";
import { testJob, testStore, threadEntry } from "../testing.test-support.ts";
import { inThreads } from "../threads/in-threads.ts";
import { inProcess } from "./in-process.ts";
import { assertWholePlan, decodePart, encodePart, storePart } from "./part-file.ts";
import { type JobEvent, runPlan, startPlan } from "./run-plan.ts";
import { jobsOfShard, parseShard } from "./shard.ts";

const signal = new AbortController().signal;
const never = new AbortController().signal;
const cwd = process.cwd();
const [two, three] = [testJob("add", { value: 2 }), testJob("add", { value: 3 })];
/** 2 (2 0 + 2) + 3 and the other way round: an executor that mixed up the order would not give both. */
const [first, second] = [testJob("add", { value: 0 }, [two, three]), testJob("add", { value: 0 }, [three, two])];
const jobs = [two, three, first, second];

async function results(store: Store): Promise<unknown[]> {
  return await Promise.all(jobs.map(async ({ id }) => readResult(store, id, (await findRecord(store, id))!)));
}

describe("a job", () => {
  test("is named by what decides its result and by nothing else", () => {
    const content = { kind: "add", settings: { a: 1, b: [2, { d: 3, c: 4 }] }, inputs: {}, after: [], packages: {} };
    const turned = { ...content, settings: { b: [2, { c: 4, d: 3 }], a: 1 } };
    expect(makeJob(turned, "one").id).toBe(makeJob(content, "another").id);
    for (const more of [{ kind: "wait" }, { inputs: { x: "1" } }, { after: ["1"] }, { packages: { x: "1" } }]) {
      expect(makeJob({ ...content, ...more }, "one").id).not.toBe(makeJob(content, "one").id);
    }
  });

  test("keeps numbers that JSON has not", () => {
    const value = { a: [Number.NaN, 1e-300, -0.1], b: Number.NEGATIVE_INFINITY };
    expect(decodeJson(encodeJson(value))).toEqual(value);
    expect(canonicalJson({ b: 1, a: undefined })).toBe('{"b":1}');
  });
});

describe("a plan", () => {
  test("gives the same in one process and in two threads, and nothing is done again", async () => {
    const [here, there] = [await testStore(), await testStore()];
    const [alone, threads] = [
      inProcess({ store: here, kinds: testKinds }),
      inThreads({ store: there, entry: threadEntry, threads: 2, cwd }),
    ];
    const done = await runPlan({ jobs, store: here, executor: alone, signal });
    expect(done.map(({ state }) => state)).toEqual(["finished", "finished", "finished", "finished"]);
    await runPlan({ jobs, store: there, executor: threads, signal });
    expect(await results(here)).toEqual([2, 3, 7, 8]);
    expect(await results(there)).toEqual(await results(here));
    await threads.close();
    const refuses = { submit: () => Promise.reject(new Error("asked to work")), close: async () => {} };
    const again = await runPlan({ jobs, store: here, executor: refuses, signal });
    expect(again.map(({ state }) => state)).toEqual(["reused", "reused", "reused", "reused"]);
  });

  test("skips what waits for a job that failed, and nothing else", async () => {
    const store = await testStore();
    const failing = testJob("fail", {});
    const plan = [failing, testJob("add", { value: 1 }, [failing]), two];
    const events: JobEvent[] = [];
    const executor = inProcess({ store, kinds: testKinds });
    const outcomes = await runPlan({ jobs: plan, store, executor, signal, onEvent: (event) => events.push(event) });
    expect(outcomes.map(({ state }) => state)).toEqual(["failed", "skipped", "finished"]);
    expect(outcomes[1]).toMatchObject({ error: { code: "ERR_TEST", details: { is: 1 } } });
    expect(events.map(({ type }) => type).sort()).toEqual(["failed", "finished", "started", "started"]);
  });

  test("stops at the next safe point when it is called off, in a thread too", async () => {
    for (const threads of [0, 1]) {
      const store = await testStore();
      const stop = new AbortController();
      const executor =
        threads === 0 ? inProcess({ store, kinds: testKinds }) : inThreads({ store, entry: threadEntry, threads, cwd });
      const plan = [testJob("wait", { ms: 60_000, value: 1 }), two];
      const outcomes = runPlan({
        ...{ jobs: plan, store, executor, signal: stop.signal },
        onEvent: ({ type }) => type === "started" && stop.abort(),
      });
      expect((await outcomes).map(({ state }) => state)).toEqual(["cancelled", "cancelled"]);
      await executor.close();
    }
  });

  test("goes on where a thread of it ends", async () => {
    const store = await testStore();
    const executor = inThreads({ store, entry: threadEntry, threads: 1, cwd });
    const outcomes = await runPlan({ jobs: [testJob("exit", {}), two], store, executor, signal });
    expect(outcomes[0]).toMatchObject({ state: "failed", error: { code: "ERR_JOB_THREAD" } });
    expect(outcomes[1]).toMatchObject({ state: "finished" });
    await executor.close();
  });

  test("whose jobs wait for later ones is refused", async () => {
    const store = await testStore();
    const spec = { jobs: [first, two, three], store, executor: inProcess({ store, kinds: testKinds }), signal };
    expect(() => startPlan(spec)).toThrow(expect.objectContaining({ code: "ERR_PLAN" }));
  });

  test("notices where a job gives other bytes than before", async () => {
    const store = await testStore();
    let value = 0;
    const kinds = {
      // Another worker finishes the job while it runs.
      async add() {
        value += 1;
        const own = value;
        if (own === 1) await runPlan({ jobs: [two], store, executor: inProcess({ store, kinds }), signal });
        return { result: own };
      },
    };
    const [outcome] = await runPlan({ jobs: [two], store, executor: inProcess({ store, kinds }), signal: never });
    expect(outcome).toMatchObject({ state: "failed", error: { code: "ERR_NOT_REPRODUCED" } });
  });

  test("takes half a record for none", async () => {
    const store = await testStore();
    const executor = inProcess({ store, kinds: testKinds });
    await runPlan({ jobs: [two], store, executor, signal });
    for (const text of ["", '{"result":"', "null", "{}"]) {
      await writeFile(join(store.place, "results", two.id), text);
      expect(await findRecord(store, two.id)).toBeUndefined();
    }
    const [again] = await runPlan({ jobs: [two], store, executor, signal });
    expect(again!.state).toBe("finished");
  });

  test("takes a damaged result for none", async () => {
    const store = await testStore();
    const executor = inProcess({ store, kinds: testKinds });
    await runPlan({ jobs: [two], store, executor, signal });
    const record = (await findRecord(store, two.id))!;
    await writeFile(join(store.place, "blobs", record.result.slice(0, 2), record.result), "3");
    await expect(readResult(store, two.id, record)).rejects.toMatchObject({ code: "ERR_BLOB_DAMAGED" });
    const [again] = await runPlan({ jobs: [two], store, executor, signal });
    expect(again!.state).toBe("finished");
    expect(await readResult(store, two.id, record)).toBe(2);
  });
});

describe("parts of a plan", () => {
  async function part(index: number, count: number, plan = jobs): Promise<Uint8Array> {
    const store = await testStore();
    const shard = { index, count };
    const own = jobsOfShard(plan, shard);
    await runPlan({ jobs: own, store, executor: inProcess({ store, kinds: testKinds }), signal });
    return await encodePart({ store, jobs: plan, own, shard, request: { command: "test" } });
  }

  test("give together what one process gives, for any number of them", async () => {
    for (const count of [1, 2, 3, 8]) {
      const store = await testStore();
      const parts = [];
      for (let index = count; index >= 1; index--) parts.push(decodePart(await part(index, count), `${index}`));
      assertWholePlan(parts);
      for (const one of parts) await storePart(store, one);
      expect(await results(store)).toEqual([2, 3, 7, 8]);
    }
  });

  test("are refused twice, in part, mixed and damaged", async () => {
    const [a, b] = [decodePart(await part(1, 2), "a"), decodePart(await part(2, 2), "b")];
    const refused = (parts: readonly ReturnType<typeof decodePart>[], ...words: string[]): void => {
      for (const word of words) expect(() => assertWholePlan(parts)).toThrow(word);
    };
    refused([a, a], "both part 1/2");
    refused([b], "1/2 is missing");
    refused([a, decodePart(await part(2, 3), "c")], "of another plan", "3 parts, not 2");
    refused([a, decodePart(await part(2, 2, [three]), "d")], "of another plan", "its jobs are others");
    const damaged = new TextDecoder().decode(await part(1, 2)).replace('"result":2', '"result":4');
    expect(() => decodePart(new TextEncoder().encode(damaged), "e")).toThrow("is damaged");
    const whole = new TextDecoder().decode(await part(1, 2));
    const spoilt = [
      whole.replace(/"id":"[0-9a-f]{64}"/, '"id":"../../escaped"'),
      whole.replace('"count":2', '"count":1000000000'),
      whole.replace(/"results":\[.*\]\}/, '"results":[null]}'),
    ];
    expect(spoilt).not.toContain(whole);
    for (const text of ["", "{}", "[1]", '{"secateurPart":2}', ...spoilt]) {
      expect(() => decodePart(new TextEncoder().encode(text), "f")).toThrow(
        expect.objectContaining({ code: "ERR_PART" }),
      );
    }
  });

  test("have numbers from 1 to as many as there are", () => {
    expect(parseShard("3/16")).toEqual({ index: 3, count: 16 });
    for (const text of ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1.5/2"]) {
      expect(() => parseShard(text)).toThrow(expect.objectContaining({ code: "ERR_USAGE" }));
    }
  });
});
