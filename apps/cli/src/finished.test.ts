/** --resume of a run that was finished before: nothing is left to do, so nothing is written. */
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { call, type SmallTask, smallArch, smallTask } from "./testing.test-support.ts";

/** Every file of a folder, and when it was written. */
async function stamps(folder: string): Promise<readonly string[]> {
  const names = (await readdir(folder)).sort();
  return await Promise.all(names.map(async (name) => `${name} ${(await stat(join(folder, name))).mtimeMs}`));
}

interface Finished {
  readonly name: string;
  argv(task: SmallTask): readonly string[];
  /** Another setting, whose result is not what is there. */
  readonly other: readonly string[];
  /** What is said of it. */
  readonly refusal: RegExp;
  /** The file by which the run is known. */
  readonly out: string;
}

const commands: readonly Finished[] = [
  {
    name: "prune",
    argv: ({ model, data }) => ["prune", model, "--data", data, "--solver", "magnitude", "--out", "p.safetensors"],
    other: ["--stages", "2"],
    refusal: /\[ERR_OUTPUT_EXISTS\]\n$/,
    out: "p.safetensors",
  },
  {
    name: "train",
    argv: ({ data }) => ["train", "--arch", smallArch, "--data", data, "--epochs", "2", "--out", "t.safetensors"],
    other: ["--learning-rate", "0.02", "--epochs", "3"],
    refusal:
      /of a training with other settings: epochs was 2 and is 3, learningRate is 0\.02 and was not set.*\[ERR_RESUME\]\n$/,
    out: "t.safetensors",
  },
  {
    name: "compare",
    argv: ({ model, data }) => [
      ...["compare", model, "--data", data, "--solvers", "magnitude", "--sparsities", "0.5", "--report", "c.json"],
    ],
    other: ["--keep-dense", "first"],
    refusal: /\[ERR_OUTPUT_EXISTS\]\n$/,
    out: "c.json",
  },
];

describe.each(commands)("$name --resume of a run that is finished", ({ argv, other, refusal, out }) => {
  test("says so with code 0 and writes nothing; what another run left, or others changed, is not taken for it", async () => {
    const task = await smallTask();
    const cwd = task.folder;
    const typed = argv(task);
    expect((await call(typed, { cwd })).code).toBe(0);
    const before = await stamps(cwd);

    const again = await call([...typed, "--resume"], { cwd });
    expect([again.code, again.stdout]).toEqual([0, ""]);
    expect(again.stderr).toContain(`${join(cwd, out)} is what this very run gave: it is finished`);
    const json = await call([...typed, "--resume", "--json"], { cwd });
    expect(JSON.parse(json.stdout)).toEqual({ finished: true, out: join(cwd, out) });

    const different = await call([...typed, ...other, "--resume"], { cwd });
    expect(different.code).toBe(2);
    expect(different.stderr).toMatch(refusal);

    const place = join(cwd, out);
    const bytes = await readFile(place);
    const changed = out.endsWith(".json") ? Buffer.from("{}") : Buffer.from(bytes);
    if (!out.endsWith(".json")) changed[changed.length - 3]! ^= 1;
    await writeFile(place, changed);
    expect((await call([...typed, "--resume"], { cwd })).stderr).toMatch(/\[ERR_OUTPUT_EXISTS\]\n$/);
    await writeFile(place, bytes);
    // But for the file that the test itself changed and put back.
    const others = (all: readonly string[]) => all.filter((one) => !one.startsWith(`${out} `));
    expect(others(await stamps(cwd))).toEqual(others(before));
  });
});

test("a training whose task or normalisation was another says so, and no more", async () => {
  const { folder: cwd, data } = await smallTask();
  const train = [
    "train",
    "--arch",
    smallArch,
    "--data",
    data,
    "--epochs",
    "1",
    "--task",
    "classification",
    "--out",
    "t.safetensors",
  ];
  expect((await call(train, { cwd })).code).toBe(0);
  const { stderr } = await call([...train, "--normalize", "0.5,2", "--resume"], { cwd });
  expect(stderr).toMatch(
    /of a training with other settings: normalize is 0\.5,2 and was not set; repeat.*\[ERR_RESUME\]/,
  );
});

test("a report of something else, or a missing epoch file, is not taken for what a run gave", async () => {
  const { folder: cwd, model, data } = await smallTask();
  const prune = ["prune", model, "--data", data, "--solver", "magnitude", "--out", "p.safetensors"];
  const withReport = [...prune, "--report", "r.json"];
  expect((await call(withReport, { cwd })).code).toBe(0);
  expect((await call([...withReport, "--resume"], { cwd })).code).toBe(0);
  await writeFile(join(cwd, "r.json"), "{}");
  expect((await call([...withReport, "--resume"], { cwd })).stderr).toMatch(/\[ERR_OUTPUT_EXISTS\]\n$/);
  const train = ["train", "--arch", smallArch, "--data", data, "--epochs", "2", "--out", "t.safetensors"];
  expect((await call(train, { cwd })).code).toBe(0);
  const more = await call([...train, "--keep-epochs", "1", "--resume"], { cwd });
  expect(more.stderr).toMatch(/\[ERR_OUTPUT_EXISTS\]\n$/);
});

test("a comparison with failed runs keeps the others, and --resume tries the failed ones again", async () => {
  const { folder: cwd, model, data } = await smallTask();
  const solvers = ["--solvers", "magnitude,woodfisher", "--sparsities", "0.5", "--examples", "2", "--ridge", "0"];
  const argv = ["compare", model, "--data", data, ...solvers, "--report", "c.json"];
  for (const typed of [argv, [...argv, "--resume"]]) {
    const { code, stderr } = await call(typed, { cwd });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/1 of 2 runs failed.*--resume to try the failed ones/)]);
  }
});
