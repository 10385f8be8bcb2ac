import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeSafetensors, encodeSafetensors, readCheckpoint } from "@secateur/formats";
import { architecture, createNetwork } from "@secateur/nn";
import type { PruneDocument } from "@secateur/run/node";
import { describe, expect, test } from "vitest";
import { call, type SmallTask, smallTask, temporaryFolder } from "./testing.test-support.ts";

/** Seven stages without gradients: enough to be interrupted between. */
const staged = ["--solver", "magnitude", "--sparsity", "0.8", "--stages", "7", "--schedule", "linear"];

function pruneArgs({ model, data }: SmallTask, ...more: readonly string[]): readonly string[] {
  return ["prune", model, "--data", data, ...more];
}

async function pruneToJson(argv: readonly string[]): Promise<PruneDocument> {
  const { code, stdout, stderr } = await call([...argv, "--json"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout) as PruneDocument;
}

describe("prune", () => {
  test("keeps exactly floor((1 - s) p) weights, in the file as in the document", async () => {
    const task = await smallTask();
    const document = await pruneToJson(pruneArgs(task, "--solver", "magnitude", "--sparsity", "0.7"));
    expect(document.prunable).toBe(45);
    expect(document.nonzeros).toBe(13); // floor(0.3 * 45)
    expect(document.layers.map(({ size }) => size)).toEqual([30, 15]);
    expect(document.layers.reduce((sum, { nonzeros }) => sum + nonzeros, 0)).toBe(13);
    const { tensors } = await readCheckpoint(document.out);
    const kept = tensors.flatMap(({ data }) => [...(data as Float32Array)]).filter((value) => value !== 0);
    expect(kept).toHaveLength(13);
  });

  test("reports the accuracy that eval finds in its files", async () => {
    const task = await smallTask();
    const { out, dense, pruned, stages } = await pruneToJson(pruneArgs(task, ...staged));
    const after = await call(["eval", out, "--data", task.data, "--json"]);
    const before = await call(["eval", task.model, "--data", task.data, "--json"]);
    expect(JSON.parse(after.stdout)).toEqual({ ...pruned, measuredOn: "calibration" });
    expect(JSON.parse(before.stdout)).toEqual({ ...dense, measuredOn: "calibration" });
    expect(stages[6]!.accuracy).toBe(pruned!.accuracy);
  });

  test("without data prunes to the same bytes by a method that needs none, and measures nothing", async () => {
    const task = await smallTask();
    const by = ["--solver", "magnitude", "--sparsity", "0.6", "--allocation", "erk"];
    const measured = await pruneToJson(pruneArgs(task, ...by, "--out", join(task.folder, "with.safetensors")));
    const out = join(task.folder, "without.safetensors");
    const document = await pruneToJson(["prune", task.model, ...by, "--out", out, "--json"]);
    expect(await readFile(out)).toEqual(await readFile(measured.out));
    expect(Object.keys(document)).not.toEqual(expect.arrayContaining(["dense"]));
    expect(JSON.stringify(document)).not.toMatch(/accuracy|"loss"|"data"/);
    const again = await call(["prune", "--recipe", join(task.folder, "without.recipe.json"), "--force"]);
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining("not measured, as there are no data") });
  });

  test.each([
    [["--solver", "cbs"], /cbs takes gradients: give the data .*--solver magnitude does without/],
    [["--solver", "magnitude", "--retrain", "llr"], /retraining needs examples/],
    [["--solver", "wanda"], /wanda prunes layers by their inputs/],
    [["--solver", "magnitude", "--report", "r.html"], /--report does nothing without data/],
    [["--solver", "magnitude", "--task", "regression"], /--task does nothing without data/],
  ])("without data refuses %j and says why", async (flags, message) => {
    const { model } = await smallTask();
    expect(await call(["prune", model, ...flags])).toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
  });

  test("names its output after model, solver and sparsity, and puts it beside the model", async () => {
    const task = await smallTask();
    const { out } = await pruneToJson(pruneArgs(task, "--solver", "magnitude", "--sparsity", "0.75"));
    expect(out).toBe(join(task.folder, "net.magnitude-0.75.safetensors"));
    expect(existsSync(join(task.folder, "net.magnitude-0.75.recipe.json"))).toBe(true);
    expect((await readdir(task.folder)).filter((name) => /resume|tmp/.test(name))).toEqual([]);
  });

  test("keeps the metadata of the model and adds where the weights come from", async () => {
    const task = await smallTask();
    const before = await readCheckpoint(task.model);
    const metadata = { ...before.metadata, format: "pt", note: "mine" };
    await writeFile(task.model, encodeSafetensors({ tensors: before.tensors, metadata }));
    const { out } = await pruneToJson(pruneArgs(task, "--solver", "magnitude", "--sparsity", "0.5"));
    expect((await readCheckpoint(out)).metadata).toEqual({
      ...metadata,
      "secateur.solver": "magnitude",
      "secateur.sparsity": "0.5",
      "secateur.seed": "0",
      "secateur.crc32": expect.stringMatching(/^[0-9a-f]{8}$/),
    });
  });

  test("tells a built-in network from its tensors, and says so", async () => {
    const folder = await temporaryFolder();
    const model = join(folder, "m.safetensors");
    const tensors = createNetwork(architecture("mlpnet"))
      .tensors()
      .map(({ name, shape, data }) => ({ name, shape, dtype: "f32" as const, data: Float32Array.from(data) }));
    await writeFile(model, encodeSafetensors({ tensors }));
    const argv = ["prune", model, "--data", "mnist", "--solver", "magnitude", "--sparsity", "0.5"];
    const { code, stderr } = await call(argv);
    expect(code).toBe(0);
    expect(stderr).toContain("its tensors are those of mlpnet");
  });

  test("with --quiet prints nothing", async () => {
    const task = await smallTask();
    const result = await call(pruneArgs(task, ...staged, "--quiet"));
    expect(result).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("the seed chooses the bytes of the gradient rows drawn, and the same seed gives the same bytes", async () => {
    const task = await smallTask();
    const run = async (name: string, seed: string) => {
      const out = join(task.folder, name);
      const argv = pruneArgs(
        task,
        ...["--solver", "chita", "--sparsity", "0.6", "--no-try-magnitude"],
        ...["--examples", "20"],
        "--seed",
        seed,
        "--out",
        out,
      );
      await pruneToJson(argv);
      const { tensors } = await readCheckpoint(out);
      return tensors.map(({ data }) => [...(data as Float32Array)]);
    };
    const first = await run("a.safetensors", "1");
    expect(await run("b.safetensors", "1")).toEqual(first);
    expect(await run("c.safetensors", "2")).not.toEqual(first);
  });
});

describe("a recipe", () => {
  test("repeats the run to the same bytes, also after its folder was moved", async () => {
    const task = await smallTask();
    const first = await pruneToJson(pruneArgs(task, ...staged, "--seed", "5"));
    const bytes = await readFile(first.out);
    const moved = join(task.folder, "moved");
    await mkdir(moved);
    for (const name of ["net.safetensors", "X.npy", "Y.npy", "net.magnitude-0.8.recipe.json"]) {
      await rename(join(task.folder, name), join(moved, name));
    }
    const recipe = join(moved, "net.magnitude-0.8.recipe.json");
    const again = await pruneToJson(["prune", "--recipe", recipe, "--out", join(moved, "again.safetensors")]);
    expect(await readFile(again.out)).toEqual(bytes);
    // Settled already where it was asked for, the rest is the same.
    expect({ ...again.recipe, requestSha256: first.recipe.requestSha256 }).toEqual(first.recipe);
  });

  test("is what stands in the file and in the document", async () => {
    const task = await smallTask();
    const document = await pruneToJson(pruneArgs(task, ...staged));
    const file = await readFile(join(task.folder, "net.magnitude-0.8.recipe.json"), "utf8");
    expect(JSON.parse(file)).toEqual(document.recipe);
    expect(document.recipe).toMatchObject({
      model: "net.safetensors",
      data: "npy:X.npy,Y.npy",
      solver: "magnitude",
      sparsity: 0.8,
      plan: { stages: 7, schedule: "linear", targetStages: 0 },
      kernels: "wasm",
    });
  });

  test("gives way to flags, and its plan to another solver", async () => {
    const task = await smallTask();
    await pruneToJson(pruneArgs(task, ...staged));
    const recipe = join(task.folder, "net.magnitude-0.8.recipe.json");
    const softer = await pruneToJson(["prune", "--recipe", recipe, "--sparsity", "0.6"]);
    expect(softer.stages).toHaveLength(7);
    expect(softer.nonzeros).toBe(18);
    const other = await pruneToJson(["prune", "--recipe", recipe, "--solver", "chita.iht"]);
    expect(other.solver).toBe("chita.iht");
    expect(other.recipe.plan.schedule).not.toBe("linear");
  });
});

describe("an interrupted run", () => {
  /** Aborts a run after it has saved a stage; returns the message. */
  async function interrupt(argv: readonly string[], state: string): Promise<string> {
    const controller = new AbortController();
    const watch = setInterval(() => {
      if (existsSync(state)) controller.abort();
    }, 1);
    const { code, stdout, stderr } = await call(argv, { signal: controller.signal });
    clearInterval(watch);
    expect(stdout).toBe("");
    expect(code).toBe(130);
    return stderr;
  }

  test("leaves its state, no partial file, and continues to the same bytes", async () => {
    const task = await smallTask();
    const whole = await pruneToJson(pruneArgs(task, ...staged, "--out", join(task.folder, "whole.safetensors")));
    const before = await readdir(task.folder);
    const argv = pruneArgs(task, ...staged, "--out", join(task.folder, "cut.safetensors"));
    const state = join(task.folder, "cut.resume.safetensors");
    expect(await interrupt(argv, state)).toMatch(/interrupted.*cut\.resume\.safetensors.*--resume/);
    expect((await readdir(task.folder)).filter((name) => !before.includes(name))).toEqual(["cut.resume.safetensors"]);

    const refused = await call(argv);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/interrupted run left its state.*--resume.*--force.*ERR_RESUME/);

    const resumed = await call([...argv, "--resume"]);
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toMatch(/continuing after stage \d/);
    expect(await readFile(join(task.folder, "cut.safetensors"))).toEqual(await readFile(whole.out));
    expect(existsSync(state)).toBe(false);
  });

  test("that is continued counts the time of both parts", async () => {
    const task = await smallTask();
    const argv = pruneArgs(task, ...staged, "--out", join(task.folder, "cut.safetensors"));
    const state = join(task.folder, "cut.resume.safetensors");
    await interrupt(argv, state);
    const { tensors, metadata } = decodeSafetensors(await readFile(state), state);
    const header = JSON.parse(metadata["secateur.run"]!) as object;
    const hour = 3_600_000;
    const longer = { ...metadata, "secateur.run": JSON.stringify({ ...header, elapsedMs: hour }) };
    await writeFile(state, encodeSafetensors({ tensors, metadata: longer }));
    const { timing } = await pruneToJson([...argv, "--resume", "--quiet"]);
    expect(timing.totalMs).toBeGreaterThan(hour);
    // The rest of so small a run takes seconds at most.
    expect(timing.totalMs).toBeLessThan(2 * hour);
  });

  test("is not continued by another run", async () => {
    const task = await smallTask();
    const out = join(task.folder, "cut.safetensors");
    const state = join(task.folder, "cut.resume.safetensors");
    await interrupt(pruneArgs(task, ...staged, "--out", out), state);
    const otherSeed = await call(pruneArgs(task, ...staged, "--out", out, "--resume", "--seed", "1"));
    expect(otherSeed.code).toBe(2);
    expect(otherSeed.stderr).toMatch(/cut\.resume\.safetensors: .*another run: seed was 0 and is 1; .*ERR_RESUME/);
    expect(otherSeed.stderr).not.toContain("{");
    const otherPlan = await call(pruneArgs(task, ...staged, "--out", out, "--resume", "--no-regrow"));
    expect(otherPlan.stderr).toMatch(/another run: regrow was on and is off; /);
    const otherSparsity = await call(pruneArgs(task, ...staged, "--sparsity", "0.7", "--out", out, "--resume"));
    expect(otherSparsity.code).toBe(2);
    expect(otherSparsity.stderr).toMatch(/sparsity was 0\.8 and is 0\.7.*ERR_RESUME/);
    await writeFile(state, (await readFile(state)).subarray(0, 40));
    const cutOff = await call(pruneArgs(task, ...staged, "--out", out, "--resume"));
    expect(cutOff.stderr).toMatch(/saved state is damaged.*without --resume and with --force.*ERR_RESUME/);
    await writeFile(state, await readFile(task.model));
    const damaged = await call(pruneArgs(task, ...staged, "--out", out, "--resume"));
    expect(damaged.code).toBe(2);
    expect(damaged.stderr).toMatch(/not the state of a run.*without --resume and with --force.*ERR_RESUME/);
  });

  test("starts afresh with --force", async () => {
    const task = await smallTask();
    const out = join(task.folder, "cut.safetensors");
    await interrupt(pruneArgs(task, ...staged, "--out", out), join(task.folder, "cut.resume.safetensors"));
    const { stages } = await pruneToJson(pruneArgs(task, ...staged, "--out", out, "--force"));
    expect(stages).toHaveLength(7);
    expect(existsSync(join(task.folder, "cut.resume.safetensors"))).toBe(false);
  });

  test("before it has saved anything writes nothing", async () => {
    const task = await smallTask();
    const before = await readdir(task.folder);
    const { code, stderr } = await call(pruneArgs(task, ...staged), { signal: AbortSignal.abort() });
    expect(code).toBe(130);
    expect(stderr).toMatch(/interrupted; nothing was written/);
    const events = join(task.folder, "e.jsonl");
    const logged = await call(pruneArgs(task, ...staged, "--events", events), { signal: AbortSignal.abort() });
    expect(logged.stderr).toMatch(/interrupted; only the events so far were written, to .*e\.jsonl/);
    await rm(events);
    expect(await readdir(task.folder)).toEqual(before);
  });

  test("--resume without a saved state starts from the beginning and says so", async () => {
    const task = await smallTask();
    const { code, stderr } = await call(pruneArgs(task, ...staged, "--resume"));
    expect(code).toBe(0);
    expect(stderr).toMatch(/no saved state.*starting from the beginning/);
  });
});

describe("the event log", () => {
  test("holds one event a line, from the start of the run to its end", async () => {
    const task = await smallTask();
    const path = join(task.folder, "events.jsonl");
    await pruneToJson(pruneArgs(task, ...staged, "--events", path));
    const events = (await readFile(path, "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string; atMs: number });
    expect(events.filter(({ type }) => type === "run:start")).toHaveLength(1);
    expect(events.filter(({ type }) => type === "stage:start")).toHaveLength(7);
    expect(events.filter(({ type }) => type === "stage:end")).toHaveLength(7);
    const times = events.map(({ atMs }) => atMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });
});

describe("on a terminal", () => {
  test("progress goes to stderr and leaves the result alone", async () => {
    const task = await smallTask();
    const { stdout, stderr } = await call(pruneArgs(task, ...staged), { isTTY: true });
    expect(stderr).toContain("evaluating");
    expect(stdout).toMatch(/^magnitude, 60 calibration examples\n/);
    expect(stdout).not.toContain("█");
  });

  test("--json draws no progress", async () => {
    const task = await smallTask();
    const { stderr } = await call(pruneArgs(task, ...staged, "--json"), { isTTY: true });
    expect(stderr).toBe("");
  });
});
