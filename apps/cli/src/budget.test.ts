/** Budgets and numbers that leave nothing: refused, and nothing is written. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeNpy } from "@secateur/formats";
import { describe, expect, test } from "vitest";
import { call, halving, refused, smallProblem, smallTask } from "./testing.test-support.ts";

describe("a sparsity that keeps no weight", () => {
  test("is refused by prune, and the largest that keeps one is named", async () => {
    const task = await smallTask();
    const message = await refused([...halving(task), "--sparsity", "0.99"]);
    expect(message).toMatch(/keeps 0 of 45 weights; the largest sparsity that keeps one is 0\.9777.*ERR_IMPOSSIBLE/);
    const named = /keeps one is ([\d.]+)/.exec(message)![1]!;
    const { code, stdout } = await call([...halving(task), "--json", "--sparsity", named]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ nonzeros: 1 });
  });

  test("is refused by solve, where --keep 0 is allowed", async () => {
    const { gradients, weights } = await smallProblem();
    const argv = ["solve", "--gradients", gradients, "--weights", weights, "--solver", "magnitude", "--json"];
    expect(await refused([...argv, "--sparsity", "0.9"])).toMatch(
      /keeps 0 of 8 weights; the largest sparsity that keeps one is 0\.875.*ERR_IMPOSSIBLE/,
    );
    const { code, stdout } = await call([...argv, "--keep", "0"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ nonzeros: 0 });
  });
});

test("numbers that overflow fail the run and write nothing", async () => {
  const { folder, gradients, weights } = await smallProblem();
  await writeFile(gradients, encodeNpy({ shape: [5, 8], data: new Float64Array(40).fill(1e200) }));
  const out = join(folder, "out.npy");
  for (const solver of ["magnitude", "chita.bso"]) {
    const argv = ["solve", "--gradients", gradients, "--weights", weights, "--keep", "3", "--solver", solver];
    const { code, stdout, stderr } = await call([...argv, "--out", out, "--json"]);
    expect(stderr).toMatch(/overflowed.*ERR_OVERFLOW/);
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(existsSync(out)).toBe(false);
  }
});

describe("a setting without effect under the curvature", () => {
  const argv = (task: { model: string; data: string }) => [
    ...["prune", task.model, "--data", task.data, "--sparsity", "0.5", "--stages", "1", "--examples", "20"],
  ];

  test("of the solver is noted, with the curvature under which it matters", async () => {
    const task = await smallTask();
    const { code, stderr } = await call([...argv(task), "--pool", "8"]);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^warning: --iterations, --pool, --rounds and --max-rows of chita matter with --curvature empirical-fisher only/m,
    );
    expect((await call([...argv(task), "--force"])).stderr).not.toContain("warning");
  });

  test("of the plan is noted", async () => {
    const task = await smallTask();
    const fisher = [...argv(task), "--curvature", "empirical-fisher", "--pool", "8"];
    const { code, stderr } = await call([...fisher, "--temperature", "2"]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/warning: --temperature changes nothing with --curvature empirical-fisher/);
    expect(stderr).not.toContain("--pool");
  });
});

test("an option and its flag at once are refused", async () => {
  const task = await smallTask();
  const argv = ["prune", task.model, "--data", task.data, "--option", "ridge=0.1", "--ridge", "0.2"];
  expect(await refused(argv)).toMatch(/--option ridge=0\.1 and --ridge set the same thing/);
  const own = ["prune", task.model, "--data", task.data, "--option", "pool=1", "--pool", "2"];
  expect(await refused(own)).toMatch(/--option pool=1 and --pool set the same thing/);
});

describe("a recipe", () => {
  test("with a misspelt key is refused with the nearest, also inside the plan", async () => {
    const task = await smallTask();
    const { code, stdout } = await call([...halving(task), "--json"]);
    expect(code).toBe(0);
    const { recipe } = JSON.parse(stdout) as { recipe: Record<string, unknown> & { plan: object } };
    const path = join(task.folder, "changed.recipe.json");
    await writeFile(path, JSON.stringify({ ...recipe, sparsitty: 0.3 }));
    expect(await refused(["prune", "--recipe", path])).toMatch(
      /unknown key 'sparsitty'.*one of .*did you mean 'sparsity'\?.*ERR_RECIPE/,
    );
    await writeFile(path, JSON.stringify({ ...recipe, plan: { ...recipe.plan, stagse: 3 } }));
    expect(await refused(["prune", "--recipe", path])).toMatch(
      /unknown key 'stagse' in 'plan'.*did you mean 'stages'\?.*ERR_RECIPE/,
    );
    await writeFile(path, JSON.stringify({ ...recipe, kernels: "gpu" }));
    expect(await refused(["prune", "--recipe", path])).toMatch(/no kernels 'gpu'; known: wasm, reference/);
  });
});

test("examples of another shape are refused as such, before their labels", async () => {
  const task = await smallTask();
  const inputs = join(task.folder, "X9.npy");
  const labels = join(task.folder, "Y9.npy");
  await writeFile(inputs, encodeNpy({ shape: [4, 9], data: new Float32Array(36) }));
  await writeFile(labels, encodeNpy({ shape: [4], data: Float32Array.of(0, 1, 2, 7) }));
  expect(await refused(["eval", task.model, "--data", `npy:${inputs},${labels}`])).toMatch(
    /examples of shape \[9\].*ERR_DATA_MISMATCH/,
  );
  const same = join(task.folder, "X6.npy");
  await writeFile(same, encodeNpy({ shape: [4, 6], data: new Float32Array(24) }));
  expect(await refused(["eval", task.model, "--data", `npy:${same},${labels}`])).toMatch(/label 7.*ERR_LABEL_RANGE/);
});
