import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { call, smallArch, smallTask } from "./testing.test-support.ts";

async function trainWith(...more: readonly string[]) {
  const { folder, data } = await smallTask();
  const out = join(folder, "sparse.safetensors");
  const fixed = ["--arch", smallArch, "--data", data, "--epochs", "6", "--batch-size", "20", "--out", out];
  return { out, ...(await call(["train", ...fixed, ...more])) };
}

describe("train with a rule", () => {
  test("ends at the sparsity asked for, and says how many weights are left", async () => {
    const { code, stdout } = await trainWith("--rule", "gmp", "--sparsity", "0.8", "--json");
    expect(code).toBe(0);
    // 45 weights, of which floor(0.2 * 45) stay.
    const document = JSON.parse(stdout) as { epochs: { nonzeros: number; gradientNorm: number }[] };
    expect(document).toMatchObject({ prunable: 45, nonzeros: 9 });
    // .8 - .8 (1 - t / 5)^3 of 45 weights: 27.4, 16.8, 11.3, 9.3, 9 are left.
    expect(document.epochs.map(({ nonzeros }) => nonzeros)).toEqual([27, 16, 11, 9, 9, 9]);
    expect(document.epochs.every(({ gradientNorm }) => gradientNorm > 0)).toBe(true);
    const text = await trainWith("--rule", "gmp", "--sparsity", "0.8");
    expect(text.stdout).toContain("9 of 45 weights left");
  });

  test("takes options by KEY=VALUE, with or without the rule's name", async () => {
    const bytes = async (...more: readonly string[]) => {
      const { code, out } = await trainWith("--rule", "gmp", ...more);
      expect(code).toBe(0);
      return await readFile(out);
    };
    const one = await bytes("--sparsity", "0.5", "--rule-option", "interval=2");
    expect(await bytes("--rule-option", "gmp.sparsity=0.5", "--rule-option", "gmp.interval=2")).toEqual(one);
    expect(await bytes("--sparsity", "0.5")).not.toEqual(one);
  });

  test("is sparse from the first epoch on, and goes on after an interruption", async () => {
    const { code, stdout } = await trainWith(
      "--rule",
      "rigl",
      "--sparsity",
      "0.6",
      "--rule-option",
      "interval=4",
      "--json",
    );
    expect(code).toBe(0);
    const { epochs, kept } = JSON.parse(stdout) as { epochs: { nonzeros: number }[]; kept: number };
    expect(kept).toBe(18);
    // floor(0.4 * 45), of which those that have just come back are 0.
    expect(epochs.every(({ nonzeros }) => nonzeros <= 18 && nonzeros >= 9)).toBe(true);
  });

  test("trains what a selector kept at initialisation, and few parameters of it", async () => {
    const { folder, data } = await smallTask();
    const [init, pruned, out] = ["init", "pruned", "out"].map((name) => join(folder, `${name}.safetensors`)) as [
      string,
      string,
      string,
    ];
    await call(["train", "--arch", smallArch, "--data", data, "--epochs", "0", "--out", init]);
    for (const selector of ["snip", "grasp", "prospr", "gradient-flow"]) {
      const { code } = await call([
        "prune",
        init,
        "--data",
        data,
        "--selector",
        selector,
        "--sparsity",
        "0.6",
        "--out",
        pruned,
        "--force",
      ]);
      expect(code).toBe(0);
    }
    // synflow reads no data.
    expect(
      (
        await call([
          "prune",
          init,
          "--selector",
          "synflow",
          "--looks",
          "5",
          "--sparsity",
          "0.6",
          "--out",
          pruned,
          "--force",
        ])
      ).code,
    ).toBe(0);
    const without = await call(["prune", init, "--selector", "snip", "--sparsity", "0.6", "--out", out]);
    expect(without.code).toBe(2);
    expect(without.stderr).toMatch(/'snip' needs training data.*--data/);
    const few = ["--rule", "perp", "--rule-option", "rank=2", "--keep-zeros", "--epochs", "2", "--out", out, "--json"];
    const { code, stdout } = await call(["train", pruned, "--data", data, ...few]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ prunable: 45, nonzeros: 18 });
    const back = await call([
      "train",
      pruned,
      "--data",
      data,
      "--keep-zeros",
      "--rule",
      "set",
      "--out",
      out,
      "--force",
    ]);
    expect(back.code).toBe(2);
    expect(back.stderr).toMatch(/'set' brings pruned weights back.*--no-keep-zeros/);
  });

  test("a new network is not led to its own random outputs", async () => {
    const { code, stderr } = await trainWith("--task", "distillation");
    expect(code).toBe(2);
    expect(stderr).toMatch(/distillation.*those of a new network are random/);
  });

  test.each([
    [["--rule", "gpm"], /gpm.*did you mean 'gmp'/],
    [["--sparsity", "0.5"], /--sparsity would change nothing: training without --rule prunes nothing/],
    [
      ["--rule", "gmp", "--rule-option", "depth=3"],
      /no rule has an option 'depth'; known: gmp.sparsity, gmp.from, gmp.interval/,
    ],
    [["--rule", "gmp", "--sparsity", "0.5", "--rule-option", "sparsity=0.6"], /'sparsity' of gmp is set twice/],
    [["--rule", "gmp", "--rule-option", "interval=4"], /need at least 8 epochs, and there are 6/],
    [["--rule", "gmp", "--rule", "gmp"], /contradict each other/],
    [
      ["--rule", "rigl", "--rule", "gmp", "--sparsity", "0.5"],
      /'rigl' and 'gmp' contradict each other: both change masks/,
    ],
    [
      ["--rule", "powerpropagation", "--rule", "rigl", "--sparsity", "0.5", "--rule-option", "rigl.interval=2"],
      /'powerpropagation' and 'rigl' contradict each other.*no slope at 0/,
    ],
  ])("refuses %j before anything is written", async (argv, message) => {
    const { code, stderr, out } = await trainWith(...argv);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(code).toBe(2);
    await expect(readFile(out)).rejects.toThrow();
  });
});
