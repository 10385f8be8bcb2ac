import { join } from "node:path";
import { expect, test } from "vitest";
import { call, smallTask } from "./testing.test-support.ts";

test("explain shows formula, paper, options with defaults, and the plan for the situation", async () => {
  const { code, stdout } = await call(["explain", "chita", "--sparsity", "0.98", "--weights", "1000"]);
  expect(code).toBe(0);
  expect(stdout).toContain("Q(w) = 1/2 d'Hd");
  expect(stdout).toContain("Benbaki");
  expect(stdout).toMatch(/--max-rows <n>[^<]*default\s\d+/);
  expect(stdout).toContain("Plan for sparsity 0.98 (keeps 20 of 1,000 weights)");
  expect(stdout).toMatch(/work: about \S+ multiply-adds, as many as \S+ epochs of training/);
  expect(stdout).toMatch(/why: \S/);
  const [, rising, atTarget, all] = /stages: (\d+) rising \(geometric\) \+ (\d+) at the target = (\d+)/.exec(stdout)!;
  expect(Number(rising) + Number(atTarget)).toBe(Number(all));
});

/** Lines of the table of stages, without its title. */
const stageLines = (stdout: string): string[] => stdout.split("\n").filter((line) => /^ +\d+ +[\d.]+ %/.test(line));

test("explain lists the stages as data, one line each, for the model and data at hand", async () => {
  const { model, data } = await smallTask();
  const { stdout } = await call(["explain", "chita", "--sparsity", "0.9", "--model", model, "--data", data]);
  const [, all] = /at the target = (\d+)/.exec(stdout)!;
  const lines = stageLines(stdout);
  expect(lines).toHaveLength(Number(all));
  expect(lines.at(-1)).toMatch(/90 %/);
  // What all stages share is said once, so that no line is wider than a terminal.
  expect(stdout).toMatch(/in every stage: curvature gauss-newton.*first-order yes/);
  expect(Math.max(...stdout.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(102);
  const magnitude = (await call(["explain", "magnitude"])).stdout;
  expect(stageLines(magnitude)).toHaveLength(1);
  expect(magnitude.slice(magnitude.indexOf("Plan for"))).not.toMatch(/curvature|gradient rows/);
});

test("explain says of layer-wise solvers what they do, and no gradients or held-out examples", async () => {
  const { stdout } = await call(["explain", "layerwise"]);
  const [line, ...others] = stageLines(stdout);
  expect(others).toEqual([]);
  expect(line).toMatch(/layers, sequential inputs/);
  expect(stdout).not.toMatch(/empirical-fisher|gradient rows|ridge/);
});

test("explain shows a schedule for the examples of the data, and refuses flags without effect", async () => {
  const { model, data } = await smallTask();
  const { stdout } = await call(["explain", "llr", "--model", model, "--data", data]);
  expect(stdout).toMatch(/with 1 steps an epoch/);
  const { code, stderr } = await call(["explain", "llr", "--arch", "mlpnet"]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/--arch would change nothing/);
});

test("explain shows a schedule at the rates of the training that the model's file records, and says where rates come from", async () => {
  const { model, data, folder } = await smallTask();
  const trained = join(folder, "trained.safetensors");
  const training = ["--learning-rate", "0.0625", "--epochs", "3", "--batch-size", "10"];
  const { code } = await call(["train", model, "--data", data, ...training, "--out", trained]);
  expect(code).toBe(0);
  const { stdout } = await call(["explain", "llr", "--model", trained, "--data", data]);
  expect(stdout).toMatch(/from 0\.0625 over 3 epochs, as .*trained\.safetensors says it was trained/);
  const unknown = (await call(["explain", "llr", "--model", model, "--data", data])).stdout;
  expect(unknown).toMatch(/does not say how it was trained, so a run first finds its rates by short trainings/);
  expect((await call(["explain", "llr"])).stdout).toContain("which is what secateur train does");
});

test("explain knows curvature estimators too, which have no plan", async () => {
  const { code, stdout } = await call(["explain", "empirical-fisher"]);
  expect(code).toBe(0);
  expect(stdout).toContain("layout=<auto|factored|dense>");
  expect(stdout).not.toContain("Plan for");
});

test("explain refuses what it does not know with what it knows", async () => {
  const { code, stderr } = await call(["explain", "chita.iht2"]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/known: .*empirical-fisher.*did you mean 'chita\.iht'\?.*ERR_UNKNOWN_NAME/);
});

test("explain refuses a sparsity that keeps nothing", async () => {
  const { code, stderr } = await call(["explain", "magnitude", "--sparsity", "1"]);
  expect(code).toBe(2);
  expect(stderr).toContain("ERR_SPARSITY_RANGE");
});

test("explain tells several things of one name apart by their kind", async () => {
  expect((await call(["explain", "gmp"])).stdout).toContain("phase");
  const { code, stdout } = await call(["explain", "gmp", "--kind", "training-rule"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/interval=<n>.*default 1/);
  expect(stdout).toContain("train --rule gmp; --rule-option KEY=VALUE");
  const none = await call(["explain", "chita", "--kind", "schedule"]);
  expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining("ERR_UNKNOWN_NAME") });
});

test("options of tasks are written as --task takes them", async () => {
  const { stdout } = await call(["explain", "regression"]);
  expect(stdout).toContain("huber=<number>");
  expect(stdout).toContain("--task regression:KEY=VALUE");
});
