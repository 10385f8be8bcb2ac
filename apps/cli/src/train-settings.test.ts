import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { call, refused, smallArch, smallTask } from "./testing.test-support.ts";

test("a training stopped between epochs goes on with --resume to the same bytes, and leaves no state behind", async () => {
  const { folder, data } = await smallTask();
  const base = ["train", "--arch", smallArch, "--data", data, "--epochs", "40", "--optimizer", "adam"];
  const whole = join(folder, "whole.safetensors");
  expect((await call([...base, "--out", whole])).code).toBe(0);
  const out = join(folder, "stopped.safetensors");
  const stop = new AbortController();
  const state = join(folder, "stopped.training.safetensors");
  const watch = setInterval(() => {
    access(state).then(
      () => stop.abort(),
      () => undefined,
    );
  }, 1);
  const stopped = await call([...base, "--out", out], { signal: stop.signal });
  clearInterval(watch);
  // The run may have ended before the first look at the folder; then there is nothing to resume.
  if (stopped.code !== 0) {
    const other = await refused([...base, "--learning-rate", "0.5", "--resume", "--out", out]);
    expect(other).toContain("other settings");
    const again = await refused([...base, "--out", out]);
    expect(again).toContain("an interrupted run left its state here");
    expect((await call([...base, "--resume", "--out", out])).code).toBe(0);
  }
  expect(await readFile(out)).toEqual(await readFile(whole));
  await expect(access(state)).rejects.toThrow();
});

test("settings that the optimizer or the network does not have are refused", async () => {
  const { folder, data, model } = await smallTask();
  const out = join(folder, "x.safetensors");
  const train = ["train", "--arch", smallArch, "--data", data, "--out", out];
  expect(await refused([...train, "--optimizer", "adamw", "--momentum", "0.5"])).toContain("adamw does not have it");
  expect(await refused([...train, "--label-smoothing", "1"])).toContain("from 0 to below 1");
  expect(await refused([...train, "--schedule", "linear"])).toContain("one-cycle");
  expect((await call([...train, "--epochs", "1", "--resume"])).stderr).toMatch(
    /x\.training\.safetensors.*from the beginning/,
  );
  expect(await refused(["eval", model, "--data", data, "--reestimate-batch-norm"])).toContain("no batch normalisation");
  expect(await refused(["prune", model, "--data", data, "--flip"])).toContain("--reestimate-batch-norm");
});
