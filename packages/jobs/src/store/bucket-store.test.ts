import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import S3rver from "s3rver";
import { expect, onTestFinished, test, vi } from "vitest";
import { hashOf } from "../job/job.ts";
import { findRecord } from "../job/perform-job.ts";
import { testKinds } from "../kinds.test-support.ts";
import { inProcess } from "../plan/in-process.ts";
import { runPlan } from "../plan/run-plan.ts";
import { testFolder, testJob } from "../testing.test-support.ts";
import { openStore } from "./open-store.ts";

const bytes = new TextEncoder().encode("some bytes");

/** An S3-compatible server of the test's own. */
async function startBucket(): Promise<void> {
  const settings = { address: "127.0.0.1", port: 0, silent: true, directory: await testFolder() };
  const server = new S3rver({ ...settings, configureBuckets: [{ name: "jobs", configs: [] }] });
  const { port } = await server.run();
  onTestFinished(() => server.close());
  onTestFinished(() => void vi.unstubAllEnvs());
  vi.stubEnv("AWS_ENDPOINT_URL_S3", `http://127.0.0.1:${port}`);
  vi.stubEnv("AWS_ACCESS_KEY_ID", "S3RVER");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "S3RVER");
}

test("a bucket keeps bytes and records as a folder does", async () => {
  await startBucket();
  const store = await openStore("s3://jobs/some/prefix");
  expect((await openStore("s3://jobs/some/prefix/")).id).toBe(store.id);
  expect((await openStore("s3://jobs")).id).not.toBe(store.id);
  const path = join(await testFolder(), "file");
  await writeFile(path, bytes);
  const hash = await store.putFile(path);
  expect(hash).toBe(hashOf(bytes));
  expect(await store.put(bytes)).toBe(hash);
  expect(Buffer.from(await store.get(hash))).toEqual(Buffer.from(bytes));
  const folder = await store.view({ "a/b.txt": hash });
  expect(await readFile(join(folder, "a", "b.txt"), "utf8")).toBe("some bytes");
  await writeFile(join(folder, "a", "b.txt"), "other bytes");
  expect(await readFile(join(await store.view({ "a/b.txt": hash }), "a", "b.txt"), "utf8")).toBe("some bytes");
  await expect(store.view({ "../x": hash })).rejects.toMatchObject({ code: "ERR_STORE" });
  await store.write(`blobs/${hash.slice(0, 2)}/${hash}`, new Uint8Array(3));
  await expect(store.get(hash)).rejects.toMatchObject({ code: "ERR_BLOB_DAMAGED" });
  await expect(store.get(hash)).rejects.toMatchObject({ code: "ERR_BLOB_MISSING" });
  expect(await store.list("workers")).toEqual([]);
  await store.write("workers/a", bytes);
  const [found] = await store.list("workers");
  expect(found).toMatchObject({ name: "workers/a" });
  expect(found!.ageMs).toBeLessThan(60_000);
  await store.remove("workers/a");
  expect(await store.read("workers/a")).toBeUndefined();
});

test("a plan runs over a bucket", async () => {
  await startBucket();
  const store = await openStore("s3://jobs/plan");
  const leaf = testJob("add", { value: 2 });
  const jobs = [leaf, testJob("add", { value: 1 }, [leaf])];
  const executor = inProcess({ store, kinds: testKinds });
  const { signal } = new AbortController();
  const outcomes = await runPlan({ jobs, store, executor, signal });
  expect(outcomes.map(({ state }) => state)).toEqual(["finished", "finished"]);
  expect(await findRecord(store, jobs[1]!.id)).toMatchObject({ result: hashOf(new TextEncoder().encode("4")) });
});

test("a bucket that cannot be opened is said in one message", async () => {
  vi.stubEnv("AWS_ACCESS_KEY_ID", "");
  await expect(openStore("s3://jobs")).rejects.toThrow("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set");
  await expect(openStore("s3://JOBS")).rejects.toThrow("is no s3://BUCKET/PREFIX");
  vi.stubEnv("AWS_ACCESS_KEY_ID", "x");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "secret");
  vi.stubEnv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1");
  const refused = openStore("s3://jobs");
  await expect(refused).rejects.toMatchObject({ code: "ERR_STORE" });
  await expect(refused).rejects.not.toThrow("secret");
  vi.unstubAllEnvs();
});
