import { createRng } from "@secateur/core";
import { expect, test } from "vitest";
import { fullDisk, killAndResume, referenceOf } from "./disturb.ts";
import { scenarios } from "./task.ts";

test("a run that is killed goes on to the same bytes, and a full disk is told in one message", async () => {
  const scenario = scenarios.find(({ name }) => name === "prune")!;
  const reference = await referenceOf(scenario);
  expect([...reference.outputs.values()].every(({ length }) => length > 0)).toBe(true);
  expect(await killAndResume(scenario, reference, createRng(1))).toBeUndefined();
  expect(await fullDisk(scenario, reference)).toBeUndefined();
});

test("what is not what an undisturbed run gives is noticed", async () => {
  const scenario = scenarios.find(({ name }) => name === "train")!;
  // Bytes that no run gives: every run that was not faster than its kill must be told apart from them.
  const outputs = new Map(scenario.outputs.map((name) => [name, Buffer.from("other")]));
  expect(await killAndResume(scenario, { outputs, ms: 1 }, createRng(1))).toMatch(
    /is not what an undisturbed run gives/,
  );
});
