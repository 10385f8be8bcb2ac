/** Where outputs may go: never over an input, and under a name that says what they are. */
import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeSafetensors } from "@secateur/formats";
import { describe, expect, test } from "vitest";
import { call, halving, refused, smallArch, smallProblem, smallTask } from "./testing.test-support.ts";

describe("an input is not overwritten, also not with --force", () => {
  test("by prune: neither the model, nor the data, nor under another name", async () => {
    const task = await smallTask();
    const original = await readFile(task.model);
    const link = join(task.folder, "link.safetensors");
    await symlink(task.model, link);
    const data = join(task.folder, "X.npy");
    for (const [flag, path] of [
      ["--out", task.model],
      ["--out", link],
      ["--events", task.model],
      ["--events", data],
    ] as const) {
      expect(await refused([...halving(task), flag, path, "--force"])).toMatch(
        /one of the inputs.*choose another name.*ERR_OUTPUT_IS_INPUT/,
      );
    }
    expect(await readFile(task.model)).toEqual(original);
  });

  test("by solve", async () => {
    const { gradients, weights } = await smallProblem();
    const argv = ["solve", "--gradients", gradients, "--weights", weights, "--solver", "magnitude", "--keep", "3"];
    for (const path of [gradients, weights]) {
      expect(await refused([...argv, "--out", path, "--force"])).toMatch(/ERR_OUTPUT_IS_INPUT/);
    }
  });

  test("by train", async () => {
    const { model, data } = await smallTask();
    expect(await refused(["train", model, "--data", data, "--out", model, "--force"])).toMatch(/ERR_OUTPUT_IS_INPUT/);
  });

  test("while another existing file is, with --force", async () => {
    const task = await smallTask();
    const out = join(task.folder, "old.safetensors");
    await writeFile(out, "old");
    expect((await call([...halving(task), "--out", out, "--force"])).code).toBe(0);
    expect((await readFile(out)).length).toBeGreaterThan(3);
  });
});

describe("a name that does not say what the file is", () => {
  test("is refused for a report", async () => {
    const task = await smallTask();
    expect(await refused([...halving(task), "--report", join(task.folder, "r.txt")])).toMatch(
      /--report: .*r\.txt must end in \.html or \.htm.*ERR_OUTPUT_FORMAT/,
    );
  });

  test("is refused for the weights of solve", async () => {
    const { folder, gradients, weights } = await smallProblem();
    const out = join(folder, "w.safetensors");
    const argv = ["solve", "--gradients", gradients, "--weights", weights, "--keep", "3", "--out", out];
    expect(await refused(argv)).toMatch(/--out: .* must end in \.npy.*ERR_OUTPUT_FORMAT/);
  });
});

test("data that are not there are told before an output that is", async () => {
  const { folder, model, data } = await smallTask();
  const taken = join(folder, "taken.safetensors");
  await writeFile(taken, "x");
  const report = join(folder, "taken.html");
  await writeFile(report, "x");
  const wrong = data.replace("X.npy", "Z.npy");
  for (const argv of [
    ["prune", model, "--data", wrong, "--solver", "magnitude", "--out", taken],
    ["train", model, "--data", wrong, "--out", taken],
    ["compare", model, "--data", wrong, "--solvers", "magnitude", "--sparsities", "0.5", "--report", report],
  ]) {
    expect(await refused(argv)).toMatch(/Z\.npy.*ERR_FILE_NOT_FOUND/);
  }
});

test("a call that cannot be run is told in one message, without what was found on the way", async () => {
  const { folder, data } = await smallTask();
  const half = join(folder, "half.safetensors");
  const tensors = [
    { name: "fc1.weight", dtype: "f16", shape: [5, 6], data: new Uint16Array(30).fill(0x3c00) },
    { name: "fc2.weight", dtype: "f16", shape: [3, 5], data: new Uint16Array(15).fill(0x3c00) },
  ] as const;
  await writeFile(half, encodeSafetensors({ tensors }));
  const scan = ["sensitivity", half, "--arch", smallArch, "--data", data, "--solver", "obc", "--sparsities", "0.5"];
  const told = await call([...scan, "--examples", "50", "--held-out", "50"]);
  expect(told.stderr).toMatch(/^secateur sensitivity: --examples 50 and --held-out 50 need .*\[ERR_USAGE\]\n$/);
  const done = await call(scan);
  expect([done.code, done.stderr]).toEqual([0, expect.stringMatching(/holds f16/)]);
});
