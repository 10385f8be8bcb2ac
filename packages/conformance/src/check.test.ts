import { expect, test } from "vitest";
import { type Check, type RegisterTest, registerChecks, runChecks } from "./check.ts";

const checks: readonly Check[] = [
  { name: "holds", run: async () => {} },
  {
    name: "does not hold",
    async run() {
      throw new Error("because");
    },
  },
];

test("checks are registered under the subject's name, and fail as they would alone", async () => {
  const registered = new Map<string, () => Promise<void>>();
  registerChecks((name, run) => registered.set(name, run), "my solver", checks);
  expect([...registered.keys()]).toEqual(["my solver holds", "my solver does not hold"]);
  await registered.get("my solver holds")!();
  await expect(registered.get("my solver does not hold")!()).rejects.toThrow("because");
});

test("checks run without any test runner", async () => {
  expect(await runChecks(checks)).toEqual([
    { name: "holds" },
    { name: "does not hold", error: expect.objectContaining({ message: "because" }) },
  ]);
});

test("the test functions of vitest and of node:test are taken as they are", () => {
  const take = (register: RegisterTest): RegisterTest => register;
  expect(take(test)).toBe(test);
  // Of node:test the type is enough here; npm run test:plugin runs suites under it.
  type NodeTest = typeof import("node:test").test;
  const fits: NodeTest extends RegisterTest ? true : false = true;
  expect(fits).toBe(true);
});
