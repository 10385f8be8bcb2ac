import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeNpy, readCheckpoint } from "@secateur/formats";
import { describe, expect, test } from "vitest";
import { call, smallArch, smallTask } from "./testing.test-support.ts";

interface TrainResult {
  readonly test: { readonly accuracy: number };
  readonly epochs: readonly { readonly loss: number }[];
}

async function train(...argv: readonly string[]): Promise<TrainResult> {
  const { code, stdout, stderr } = await call(["train", ...argv, "--json"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout) as TrainResult;
}

describe("train", () => {
  test("learns a linear rule, and its checkpoint names its network", async () => {
    const { folder, data } = await smallTask();
    const out = join(folder, "t.safetensors");
    const result = await train(
      "--arch",
      smallArch,
      "--data",
      data,
      "--epochs",
      "200",
      "--batch-size",
      "20",
      "--out",
      out,
    );
    // Three linear scores, no noise; chance is 33 %.
    expect(result.test.accuracy).toBeGreaterThan(90);
    expect(result.epochs).toHaveLength(200);
    expect(result.epochs[199]!.loss).toBeLessThan(result.epochs[0]!.loss);
    const { code, stdout } = await call(["eval", out, "--data", data, "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ ...result.test, measuredOn: "calibration" });
  });

  test("gives the same bytes for the same seed, others for another", async () => {
    const { folder, data } = await smallTask();
    const run = async (name: string, seed: string) => {
      const out = join(folder, name);
      await train("--arch", smallArch, "--data", data, "--epochs", "2", "--seed", seed, "--out", out);
      return await readFile(out);
    };
    const first = await run("a.safetensors", "1");
    expect(await run("b.safetensors", "1")).toEqual(first);
    expect(await run("c.safetensors", "2")).not.toEqual(first);
  });

  test("goes on from a checkpoint, and keeps its zeros unless told otherwise", async () => {
    const { folder, model, data } = await smallTask();
    const pruned = join(folder, "pruned.safetensors");
    await call(["prune", model, "--data", data, "--solver", "magnitude", "--sparsity", "0.6", "--out", pruned]);
    const zeros = async (name: string, ...more: readonly string[]) => {
      const out = join(folder, name);
      await train(pruned, "--data", data, "--epochs", "3", "--out", out, ...more);
      const { tensors } = await readCheckpoint(out);
      return tensors.flatMap(({ data: values }) => [...(values as Float32Array)]).filter((value) => value === 0).length;
    };
    expect(await zeros("kept.safetensors", "--keep-zeros")).toBe(27); // 45 - floor(0.4 * 45)
    expect(await zeros("free.safetensors", "--no-keep-zeros")).toBe(0);
  });

  test("with no epochs writes the weights as they were", async () => {
    const { folder, model, data } = await smallTask();
    const out = join(folder, "same.safetensors");
    const { code, stderr } = await call(["train", model, "--data", data, "--epochs", "0", "--out", out]);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^warning: --epochs 0 trains nothing.*\n$/)]);
    const { tensors } = await readCheckpoint(out);
    expect(tensors).toEqual((await readCheckpoint(model)).tensors);
  });

  test("on examples of one class says that accuracies say little", async () => {
    const { folder } = await smallTask();
    await writeFile(join(folder, "Y1.npy"), encodeNpy({ shape: [60], data: new Float32Array(60).fill(2) }));
    const argv = [
      "train",
      "--arch",
      smallArch,
      "--data",
      "npy:X.npy,Y1.npy",
      "--epochs",
      "1",
      "--out",
      "o.safetensors",
    ];
    const { code, stderr } = await call(argv, { cwd: folder });
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^warning: all examples of .* are of class 2: /)]);
  });

  test("that diverges fails with exit code 1 and writes nothing", async () => {
    const { folder, data } = await smallTask();
    const out = join(folder, "t.safetensors");
    const argv = [
      "train",
      "--arch",
      smallArch,
      "--data",
      data,
      "--epochs",
      "50",
      "--learning-rate",
      "1e30",
      "--out",
      out,
    ];
    const { code, stderr } = await call(argv);
    expect(code).toBe(1);
    expect(stderr).toMatch(/diverged.*lower the learning rate.*ERR_DIVERGED/);
    await expect(readFile(out)).rejects.toThrow(/ENOENT/);
  });
});
