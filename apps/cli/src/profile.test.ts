import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { call, halving, smallTask } from "./testing.test-support.ts";

test("--profile says where the time went on standard error, and changes nothing that is written", async () => {
  const task = await smallTask();
  const written = async (
    ...more: readonly string[]
  ): Promise<{ bytes: Uint8Array; stderr: string; stdout: string }> => {
    const out = join(task.model, "..", `out${more.length}.safetensors`);
    const { code, stdout, stderr } = await call([...halving(task, "--out", out, "--quiet", "--json", ...more)]);
    expect(code).toBe(0);
    return { bytes: await readFile(out), stdout, stderr };
  };
  const [plain, profiled] = [await written(), await written("--profile")];
  expect(plain.stderr).toBe("");
  expect(profiled.stderr).toMatch(/^task +time[\s\S]*^in all [\s\S]*^kernel[\s\S]*^outside of kernels/m);
  expect(JSON.parse(profiled.stdout).objective).toBe(JSON.parse(plain.stdout).objective);
  expect(profiled.bytes).toEqual(plain.bytes);
});

test("a call that cannot be run is told by its message alone, whatever --profile asks", async () => {
  const task = await smallTask();
  const { code, stderr } = await call([...halving(task, "--keep-dense", "nosuch", "--profile")]);
  expect(code).toBe(2);
  expect(stderr).not.toMatch(/of the whole/);
});
