/** Layers that are traced and solved in threads or on a queue give the bytes of one process. */
import { existsSync } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRng } from "@secateur/core";
import { encodeNpy } from "@secateur/formats";
import { describe, expect, test } from "vitest";
import { hasRedis, startRedis } from "./redis.test-support.ts";
import { call, refused, smallTask } from "./testing.test-support.ts";

/** The small network, and more examples than a pass of it takes. */
async function longTask(): Promise<Awaited<ReturnType<typeof smallTask>>> {
  const task = await smallTask();
  const [count, rng] = [4200, createRng("examples")];
  const [X, Y] = ["X.npy", "Y.npy"].map((name) => join(task.folder, name)) as [string, string];
  const inputs = Float32Array.from({ length: count * 6 }, () => rng.normal());
  const labels = Float32Array.from({ length: count }, () => rng.integer(3));
  await writeFile(X, encodeNpy({ shape: [count, 6], data: inputs }));
  await writeFile(Y, encodeNpy({ shape: [count], data: labels }));
  return task;
}

/** A run whose parts are done elsewhere, and how many jobs it left in its store, by what they gave. */
async function prunedBy(
  task: Awaited<ReturnType<typeof smallTask>>,
  work: readonly string[],
  ...more: readonly string[]
): Promise<{ bytes: Buffer; kinds: Readonly<Record<string, number>> }> {
  const store = join(task.folder, "store of shares");
  await rm(store, { recursive: true, force: true });
  const { bytes } = await pruned(task, ...more, ...work, "--store", store);
  const kinds: Record<string, number> = {};
  for (const name of await readdir(join(store, "results"))) {
    const { result } = JSON.parse(await readFile(join(store, "results", name), "utf8"));
    const found = JSON.parse(await readFile(join(store, "blobs", result.slice(0, 2), result), "utf8"));
    const kind = "blocks" in found ? "rows" : "entries" in found ? "inputs" : "others";
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return { bytes, kinds };
}

/** A server, two workers of it, and the flags by which a command takes them; `made` sends them home and says how many jobs they made. */
async function twoWorkers(folder: string): Promise<{ queue: readonly string[]; made(): Promise<number> }> {
  const queue = ["--queue", await startRedis(), "--store", join(folder, "store")];
  const stop = new AbortController();
  const workers = [1, 2].map(() => call(["worker", ...queue, "--jobs", "1"], { cwd: folder, signal: stop.signal }));
  return {
    queue,
    async made() {
      stop.abort();
      const counts = (await Promise.all(workers)).map(({ stdout }) =>
        Number(/^(\d+) runs made, 0 failed/.exec(stdout)![1]),
      );
      return counts[0]! + counts[1]!;
    },
  };
}

type Task = Awaited<ReturnType<typeof smallTask>> & { readonly out?: string };

function argvOf({ folder, model, data, out = "out.safetensors" }: Task, ...more: readonly string[]): string[] {
  const argv = ["prune", model, "--data", data, "--sparsity", "0.6", "--force", "--out", join(folder, out)];
  return [...argv, ...(more.includes("--solver") ? [] : ["--solver", "obc"]), ...more];
}

async function pruned(task: Task, ...more: readonly string[]): Promise<{ bytes: Buffer; notes: string }> {
  const { folder, out = "out.safetensors" } = task;
  const { code, stderr } = await call(argvOf(task, ...more), { cwd: folder });
  expect([code, code === 0 ? "" : stderr]).toEqual([0, ""]);
  // How far a run has got is told where it takes long.
  const notes = stderr.split("\n").filter((line) => !/^\d+ % /.test(line));
  return { bytes: await readFile(join(folder, out)), notes: notes.join("\n") };
}

describe("layers apart", () => {
  test("in two threads, whatever shares the budget, and no store stays behind", async () => {
    const task = await smallTask();
    for (const more of [
      ["--layer-allocation", "loss-database"],
      ["--layer-allocation", "global"],
      ["--layer-allocation", "loss-database", "--inputs", "parallel"],
      ["--inputs", "parallel"],
    ]) {
      const alone = await pruned(task, ...more);
      expect(await pruned(task, ...more, "--workers", "2")).toEqual(alone);
      expect(existsSync(join(task.folder, "out.safetensors.store"))).toBe(false);
    }
    expect((await readdir(task.folder)).filter((name) => name.endsWith(".store"))).toEqual([]);
    await pruned(task, "--inputs", "parallel", "--workers", "2", "--store", "kept");
    expect(existsSync(join(task.folder, "kept", "results"))).toBe(true);
  }, 240_000);

  test.runIf(hasRedis)(
    "on a queue of two workers, in stages",
    async () => {
      const task = await smallTask();
      const more = ["--layer-allocation", "loss-database", "--stages", "2"];
      const alone = await pruned(task, ...more);
      const { queue, made } = await twoWorkers(task.folder);
      expect((await pruned(task, ...more, ...queue)).bytes).toEqual(alone.bytes);
      // Two layers, traced in both stages.
      expect(await made()).toBe(4);
    },
    240_000,
  );

  test.runIf(hasRedis)(
    "shares of the examples on a queue of two workers, of an ONNX model too",
    async () => {
      const task = await longTask();
      const onnx = { ...task, model: join(task.folder, "net.onnx"), out: "out.onnx" };
      expect((await call(["convert", task.model, "--out", onnx.model])).code).toBe(0);
      const { queue, made } = await twoWorkers(task.folder);
      const rows = ["--solver", "woodfisher", "--curvature", "empirical-fisher", "--examples"];
      const layers = ["--inputs", "parallel", "--layer-allocation", "uniform", "--calibration"];
      for (const [one, count] of [
        [task, "4100"],
        [onnx, "1100"],
      ] as const) {
        for (const more of [
          [...rows, count],
          [...layers, count],
        ]) {
          expect((await pruned(one, ...more, ...queue)).bytes).toEqual((await pruned(one, ...more)).bytes);
        }
      }
      // Three passes each, of 2,048 and of 512 examples, and the layers themselves.
      expect(await made()).toBe(4 * 3 + 2 * 2);
    },
    240_000,
  );

  test.runIf(hasRedis)(
    "members of soups on a queue, of an ONNX model too; an interrupted run goes on from finished rounds and members",
    async () => {
      const task = await smallTask();
      const onnx = { ...task, model: join(task.folder, "net.onnx"), out: "out.onnx" };
      expect((await call(["convert", task.model, "--out", onnx.model])).code).toBe(0);
      const { queue, made } = await twoWorkers(task.folder);
      const llr = ["--retrain", "llr", "--retrain-epochs", "4", "--phases", "2", "--dense-training", "constant:0.05:4"];
      const soup = ["--solver", "magnitude", ...llr, "--batch-size", "20", "--soup", "3"];
      for (const one of [task, onnx]) {
        const alone = await pruned(one, ...soup);
        const stop = new AbortController();
        const finished = async () => (await readdir(join(task.folder, "store", "results")).catch(() => [])).length;
        const before = await finished();
        const interrupted = call(argvOf(one, ...soup, ...queue), { cwd: task.folder, signal: stop.signal });
        // Of six members, in two rounds.
        const isEnough = async () => (await finished()) >= before + 4;
        await expect.poll(isEnough, { interval: 5, timeout: 60_000 }).toBe(true);
        stop.abort();
        const { code } = await interrupted;
        // Where the last members were as fast as this, there is nothing to go on with.
        if (code !== 0) expect((await pruned(one, ...soup, ...queue, "--resume")).bytes).toEqual(alone.bytes);
        expect((await pruned(one, ...soup, ...queue)).bytes).toEqual(alone.bytes);
      }
      expect(await made()).toBe(2 * 6);
    },
    240_000,
  );

  test("members of soups in two threads give the mean that they give one after the other", async () => {
    const task = await smallTask();
    const llr = ["--retrain", "llr", "--retrain-epochs", "4", "--phases", "2", "--dense-training", "constant:0.05:4"];
    const soup = ["--solver", "magnitude", ...llr, "--batch-size", "20", "--soup", "3"];
    for (const more of [
      [],
      ["--task", "distillation", "--hold-out", "0.2", "--average-last", "2", "--optimizer", "adam"],
    ]) {
      const alone = await pruned(task, ...soup, ...more);
      expect((await pruned(task, ...soup, ...more, "--workers", "2")).bytes).toEqual(alone.bytes);
    }
    const channels = [...soup, "--units", "channels"];
    expect((await pruned(task, ...channels, "--workers", "2")).bytes).toEqual((await pruned(task, ...channels)).bytes);
    // Members of two rounds.
    await pruned(task, ...soup, "--workers", "1", "--store", "kept");
    expect(await readdir(join(task.folder, "kept", "results"))).toHaveLength(6);
  }, 240_000);

  test("gradient rows and what layers see, of shares of the examples, are those of one process in threads", async () => {
    const task = await longTask();
    // 4,100 rows of one example, or of two each: three passes, and in pieces of 2,048 examples.
    for (const more of [
      ["--solver", "woodfisher", "--curvature", "empirical-fisher", "--examples", "4100", "--stages", "2"],
      ["--solver", "obd", "--curvature", "kfac", "--examples", "4100", "--batch", "1"],
      ["--solver", "woodfisher", "--curvature", "empirical-fisher", "--examples", "2050", "--batch", "2"],
    ]) {
      const { bytes } = await pruned(task, ...more);
      for (const workers of ["1", "2"]) {
        const { bytes: apart, kinds } = await prunedBy(task, ["--workers", workers], ...more);
        expect(apart).toEqual(bytes);
        expect(kinds).toEqual({ rows: more.includes("--stages") ? 6 : 3 });
      }
    }
    const few = ["--solver", "woodfisher", "--curvature", "empirical-fisher", "--examples", "40"];
    const { bytes: here } = await pruned(task, ...few);
    const { bytes: told, notes } = await pruned(task, ...few, "--workers", "2");
    expect(told).toEqual(here);
    expect(notes).toContain("all examples are one pass of the network");
    const layers = ["--inputs", "parallel", "--calibration", "4100", "--layer-allocation", "uniform"];
    const { bytes } = await pruned(task, ...layers);
    for (const workers of ["1", "2"]) {
      const { bytes: apart, kinds } = await prunedBy(task, ["--workers", workers], ...layers);
      expect(apart).toEqual(bytes);
      expect(kinds).toEqual({ inputs: 3, others: 2 });
    }
  }, 240_000);

  test("layers that wait for each other are not spread", async () => {
    const { model, data } = await smallTask();
    const argv = ["prune", model, "--data", data, "--solver", "obc", "--sparsity", "0.6", "--workers", "2"];
    expect(await refused(argv)).toContain("--layer-allocation global or loss-database");
    const whole = ["prune", model, "--data", data, "--sparsity", "0.6", "--workers", "2", "--solver"];
    expect(await refused([...whole, "chita", "--curvature", "gauss-newton"])).toContain(
      "--curvature gauss-newton takes no",
    );
    const rows = ["woodfisher", "--curvature", "empirical-fisher", "--task", "distillation"];
    expect(await refused([...whole, ...rows])).toContain("--task distillation, whose slopes are drawn");
    expect(await refused([...whole, "magnitude"])).toContain("--solver magnitude takes no");
  });
});
