/** Sweeps give the same bytes in one process, in threads, in parts, and on a queue. */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { hasRedis, startRedis } from "./redis.test-support.ts";
import { call, type SmallTask, smallTask } from "./testing.test-support.ts";

function sweepOf({ model, data }: SmallTask, ...more: string[]): string[] {
  const solvers = ["--solvers", "magnitude,obd,woodfisher+obs", "--sparsities", "0.5,0.8"];
  return ["sweep", model, "--data", data, ...solvers, "--seeds", "0,1", "--examples", "20", ...more];
}

async function swept(task: SmallTask, name: string, ...more: string[]): Promise<string> {
  const out = join(task.folder, `${name}.json`);
  const { code, stderr } = await call([...sweepOf(task, ...more), "--out", out], { cwd: task.folder });
  expect(stderr).not.toContain("failed");
  expect(code).toBe(0);
  return await readFile(out, "utf8");
}

describe("a sweep", () => {
  test("gives the same bytes in one process, in two threads and in eight parts", async () => {
    const task = await smallTask();
    const store = (name: string): string[] => ["--store", join(task.folder, name)];
    const alone = await swept(task, "alone", ...store("store-1"));
    expect(JSON.parse(alone)).toMatchObject({ measuredOn: "calibration", model: task.model });
    expect(JSON.parse(alone).runs.length).toBe(12);
    expect(await swept(task, "threads", "--workers", "2", ...store("store-2"))).toBe(alone);
    const parts = [];
    for (let index = 1; index <= 8; index++) {
      const name = `part-${index}`;
      await swept(task, name, "--shard", `${index}/8`, ...store(`store-of-${name}`));
      parts.push(join(task.folder, `${name}.json`));
    }
    const merged = join(task.folder, "merged.json");
    expect((await call(["merge", ...parts.reverse(), "--out", merged])).code).toBe(0);
    expect(await readFile(merged, "utf8")).toBe(alone);
    // Threads load everything anew, which a busy machine takes its time for.
  }, 240_000);

  test.runIf(hasRedis)(
    "gives the same bytes on a queue of four workers",
    async () => {
      const task = await smallTask();
      const store = (name: string): string[] => ["--store", join(task.folder, name)];
      const alone = await swept(task, "alone", ...store("store-1"));
      const queue = ["--queue", await startRedis(), ...store("store-3")];
      const stop = new AbortController();
      const workers = [1, 2, 3, 4].map(() =>
        call(["worker", ...queue, "--jobs", "1"], { cwd: task.folder, signal: stop.signal }),
      );
      expect(await swept(task, "queue", ...queue)).toBe(alone);
      const status = JSON.parse((await call(["status", ...queue, "--json"])).stdout);
      expect(status).toMatchObject({ waiting: 0, active: 0, failed: 0 });
      expect(status.workers.length).toBe(4);
      stop.abort();
      const ended = await Promise.all(workers);
      expect(ended.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
      const made = ended.map(({ stdout }) => Number(/^(\d+) runs made, 0 failed/.exec(stdout)![1]));
      expect(made.reduce((sum, count) => sum + count, 0)).toBe(12);
    },
    240_000,
  );

  test("repeats nothing that is finished, and does what is new", async () => {
    const task = await smallTask();
    const argv = (sparsities: string) => [
      "sweep",
      task.model,
      "--data",
      task.data,
      "--solvers",
      "magnitude",
      "--sparsities",
      sparsities,
      "--json",
    ];
    const states = async (sparsities: string): Promise<string[]> =>
      JSON.parse((await call(argv(sparsities))).stdout).work.map(({ state }: { state: string }) => state);
    expect(await states("0.5,0.8")).toEqual(["finished", "finished"]);
    expect(await states("0.5,0.9,0.8")).toEqual(["reused", "finished", "reused"]);
    // Other bytes are other work, wherever they lie.
    const changed = await readFile(task.model);
    changed[changed.length - 1] = changed.at(-1)! ^ 1;
    await writeFile(task.model, changed);
    expect(await states("0.5")).toEqual(["finished"]);
  });

  test("names the best under a goal, and draws it", async () => {
    const task = await smallTask();
    const report = join(task.folder, "sweep.html");
    const { code, stdout } = await call([...sweepOf(task, "--goal", "nonzeros<=10", "--report", report)]);
    expect(code).toBe(0);
    expect(stdout).toContain("the best that meets nonzeros<=10: secateur prune");
    expect(stdout).toMatch(/--sparsity 0\.8\b/);
    expect(await readFile(report, "utf8")).toContain("front-bytes");
    const none = await call(sweepOf(task, "--goal", "accuracy>100"));
    expect(none.stdout).toContain("no configuration meets accuracy>100");
  });

  test.each([
    [["--goal", "speed>1"], "--goal: found 'speed>1', allowed are limits"],
    [["--seeds", "0,0"], "--seeds: found '0,0'"],
    [["--shard", "3/2"], "--shard: found '3/2', allowed is I/N"],
    [["--shard", "1/2"], "--out is missing"],
    [["--queue", "redis://127.0.0.1:1"], "--queue needs --store"],
    [["--queue", "http://x", "--store", "s"], "is no address of a queue"],
    [["--queue", "redis://127.0.0.1:1", "--workers", "2", "--store", "s"], "both say where jobs run"],
    [
      ["--queue", "redis://:secret@127.0.0.1:1", "--store", "s"],
      "redis://:***@127.0.0.1:1: the server cannot be reached",
    ],
    [["--store", "."], "is no store of secateur"],
  ])("refuses %j in one message", async (more, words) => {
    const task = await smallTask();
    const { code, stdout, stderr } = await call(sweepOf(task, ...more), { cwd: task.folder });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr.trim().split("\n").length).toBe(1);
    expect(stderr).toContain(words);
    expect(stderr).not.toContain("secret");
    expect(existsSync(join(task.folder, "s", "results"))).toBe(false);
  });

  test("refuses parts that are twice, missing or no parts", async () => {
    const task = await smallTask();
    await swept(task, "part-1", "--shard", "1/2");
    const [part, out] = [join(task.folder, "part-1.json"), join(task.folder, "out.json")];
    for (const [parts, words] of [
      [[part, part], "are both part 1/2"],
      [[part], "of 2 parts 2/2 is missing"],
      [[join(task.folder, "X.npy")], "it is no JSON"],
    ] as const) {
      const { code, stderr } = await call(["merge", ...parts, "--out", out]);
      expect(code).toBe(2);
      expect(stderr).toContain(words);
      expect(existsSync(out)).toBe(false);
    }
  });
});

describe("a scan of layers", () => {
  test("in two threads is that of one process but for its times, also by a layer-wise solver", async () => {
    const { folder, model, data } = await smallTask();
    for (const solver of ["woodfisher", "obc"]) {
      const argv = [
        "sensitivity",
        model,
        "--data",
        data,
        "--solver",
        solver,
        "--sparsities",
        "0.5,0.8",
        "--sparsity",
        "0.5",
      ];
      const more = ["--tolerance", "0", "--json"];
      const [plain, jobs] = [
        JSON.parse((await call([...argv, ...more], { cwd: folder })).stdout),
        JSON.parse((await call([...argv, ...more, "--workers", "2"], { cwd: folder })).stdout),
      ];
      const strip = ({ peakMemoryBytes: _, timing: __, gradients, ...rest }: Record<string, unknown>): unknown => ({
        ...rest,
        gradients: { ...(gradients as object), gradientMs: 0 },
      });
      expect(JSON.stringify(strip(jobs))).toBe(JSON.stringify(strip(plain)));
    }
  });
});

describe("a comparison", () => {
  test("in two threads is that of one process but for its times", async () => {
    const { folder, model, data } = await smallTask();
    const argv = ["compare", model, "--data", data, "--solvers", "magnitude,obd", "--sparsities", "0.5,0.8", "--json"];
    argv.push(
      "--ridge",
      "0.01",
      "--first-order",
      "--stages",
      "2",
      "--option",
      "obd:examples=30",
      "--option",
      "magnitude:stages=1",
    );
    const plain = JSON.parse((await call([...argv, "--examples", "20"], { cwd: folder })).stdout);
    const jobs = JSON.parse((await call([...argv, "--examples", "20", "--workers", "2"], { cwd: folder })).stdout);
    const strip = ({ peakMemoryBytes: _, work: __, runs, ...rest }: Record<string, unknown>): unknown => ({
      ...rest,
      runs: (runs as Record<string, unknown>[]).map(({ timing: _, sharesGradients: __, ...run }) => run),
    });
    // The order of keys too.
    expect(JSON.stringify(strip(jobs))).toBe(JSON.stringify(strip(plain)));
    expect(jobs.work.length).toBe(4);
  });
});
