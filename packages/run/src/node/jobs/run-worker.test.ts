import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { WorkerEvent } from "@secateur/jobs";
import { expect, onTestFinished, test } from "vitest";
import { runWorker, workerText } from "./run-worker.ts";

test("a worker says that it made a store where there was none, and of no other store", async () => {
  const folder = await mkdtemp(join(tmpdir(), "secateur-worker-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const events: WorkerEvent[] = [];
  const { signal } = new AbortController();
  // Nobody answers there, so that it ends as soon as the store is open.
  const settings = { queue: "redis://127.0.0.1:1", cwd: folder, jobs: 1, signal };
  const run = (store: string) => runWorker({ ...settings, store, onEvent: (event) => events.push(event) });
  const store = join(folder, "store");
  await expect(run(store)).rejects.toMatchObject({ code: "ERR_QUEUE" });
  expect(events).toEqual([{ type: "made", place: store }]);
  expect(workerText(events[0]!)).toContain(`made a new store at ${store}`);
  await expect(run(store)).rejects.toMatchObject({ code: "ERR_QUEUE" });
  await writeFile(join(folder, "mine.txt"), "x");
  await expect(run(folder)).rejects.toMatchObject({ code: "ERR_STORE" });
  expect(events).toHaveLength(1);
});
