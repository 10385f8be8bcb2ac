import type { RunEvent } from "@secateur/core";
import { expect, test } from "vitest";
import { followProgress } from "./progress-line.ts";

function progress(task: string, done: number, total?: number, values: Record<string, number> = {}): RunEvent {
  return { type: "progress", task, done, ...(total === undefined ? {} : { total }), values };
}

test("one task fills the bar by itself, with the time that is left", () => {
  let now = 0;
  const follow = followProgress(() => now);
  expect(follow(progress("evaluate", 1, 10))).toEqual({ fraction: 0.1, text: "evaluating" });
  now = 2000;
  expect(follow(progress("evaluate", 5, 10))).toEqual({ fraction: 0.5, text: "2.00 s left, evaluating" });
  expect(follow(progress("evaluate", 10, 10))?.text).toBe("evaluating");
});

test("what a resumed task had done before does not count for the time that is left", () => {
  let now = 0;
  const follow = followProgress(() => now);
  expect(follow(progress("train", 60, 100))?.text).toBe("training");
  now = 2000;
  expect(follow(progress("train", 80, 100))?.text).toBe("2.00 s left, training");
});

test("a task of unknown length counts rounds and shows its values", () => {
  const follow = followProgress(() => 0);
  expect(follow(progress("solve", 7, undefined, { objective: 0.12345, imagesPerSecond: 20 }))).toEqual({
    fraction: undefined,
    text: "solving, round 7, objective 0.1235, images per second 20",
  });
});

test("which of how many layers is busy is said in words", () => {
  const follow = followProgress(() => 0);
  expect(follow(progress("solve", 1.5, 3, { layer: 2, layers: 3 }))?.text).toBe("solving, layer 2 of 3");
});

test("with several stages the stages fill the bar, and tell the time left", () => {
  let now = 0;
  const follow = followProgress(() => now);
  follow({ type: "run:start", stages: 4, sparsity: 0.9, prunable: 100 });
  follow({ type: "stage:start", index: 0, stages: 4, sparsity: 0.5 });
  expect(follow(progress("gradients", 5, 10))).toEqual({ fraction: 0, text: "stage 1/4 to 50.0 %, taking gradients" });
  now = 3000;
  follow({ type: "stage:start", index: 1, stages: 4, sparsity: 0.75 });
  expect(follow(progress("solve", 1))).toEqual({
    fraction: 0.25,
    text: "stage 2/4 to 75.0 %, 9.00 s left, solving, round 1",
  });
});

test("after the last stage the run's stages are left behind", () => {
  const follow = followProgress(() => 0);
  follow({ type: "run:start", stages: 2, sparsity: 0.9, prunable: 100 });
  follow({ type: "stage:start", index: 1, stages: 2, sparsity: 0.9 });
  const ended = { objective: 1, nonzeros: 10, gradientMs: 1, solveMs: 1, values: {} };
  follow({ type: "stage:end", index: 1, stages: 2, sparsity: 0.9, ...ended });
  expect(follow(progress("evaluate", 10, 10))).toEqual({ fraction: 1, text: "evaluating" });
});

test("events without progress draw nothing", () => {
  const follow = followProgress(() => 0);
  expect(follow({ type: "note", level: "info", code: "x", message: "y" })).toBeUndefined();
});
