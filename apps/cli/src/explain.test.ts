import { expect, test } from "vitest";
import { call } from "./testing.test-support.ts";

test("explain shows formula, paper, options with defaults, and the plan for the situation", async () => {
  const { code, stdout } = await call(["explain", "chita", "--sparsity", "0.98", "--weights", "1000"]);
  expect(code).toBe(0);
  expect(stdout).toContain("Q(w) = 1/2 d'Hd");
  expect(stdout).toContain("Benbaki");
  expect(stdout).toMatch(/--max-rows <n>.*default \d+/);
  expect(stdout).toContain("Plan for sparsity 0.98 (keeps 20 of 1,000 weights)");
  expect(stdout).toMatch(/why: \S/);
  const [, rising, atTarget, all] = /stages: (\d+) rising \(geometric\) \+ (\d+) at the target = (\d+)/.exec(stdout)!;
  expect(Number(rising) + Number(atTarget)).toBe(Number(all));
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
