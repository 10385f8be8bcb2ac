import { createRunContext, type RunEvent } from "@secateur/core";
import { createNetwork, mlp } from "@secateur/nn";
import { expect, test } from "vitest";
import { foldNotes } from "./held-notes.ts";
import { layerProgress } from "./layer-progress.ts";

test("of many notes of one code the first is told and the others are summed up by the names of their layers", () => {
  const told: string[] = [];
  const ctx = createRunContext({ onEvent: (event) => void (event.type === "note" && told.push(event.message)) });
  const folded = foldNotes(ctx);
  const note = (code: string, message: string): void =>
    folded.ctx.report({ type: "note", level: "info", code, message });
  for (let i = 1; i <= 9; i++) {
    note("few", `layer${i}: few rows`);
    folded.leave(`layer${i}`);
  }
  note("dead", "layer3: no inputs");
  note("dead", "layer4: no inputs");
  expect(told).toEqual(["layer1: few rows", "layer3: no inputs"]);
  folded.finish();
  expect(told.slice(2)).toEqual([
    "the same (few) 8 times more: layer2, layer3, layer4, layer5, layer6, layer7 and 2 more",
    "layer4: no inputs",
  ]);
});

test("progress counts the layers of the whole pass, groups of rows in part, and never falls between layers", async () => {
  const events: RunEvent[] = [];
  const ctx = createRunContext({ onEvent: (event) => void events.push(event) });
  const model = createNetwork(mlp({ sizes: [4, 6, 2] }));
  const progress = layerProgress(model, ["fc1.weight", "fc2.weight"], ctx);
  await progress.ctx.tick({ task: "inputs", done: 5, total: 10 });
  await progress.ctx.tick({ task: "solve", done: 1, total: 2 });
  progress.leave({ param: "fc1.weight", firstRow: 0, rows: 3 });
  await progress.ctx.tick({ task: "inputs", done: 9, total: 10 });
  progress.leave({ param: "fc1.weight", firstRow: 3, rows: 3 });
  await progress.ctx.tick({ task: "solve", done: 2, total: 2 });
  const told = events.flatMap((event) => (event.type === "progress" ? [[event.done, event.values["layer"]]] : []));
  expect(told).toEqual([
    [0, 1],
    [0.5, 1],
    [0.5, 1],
    [2, 2],
  ]);
  expect(events.every((event) => event.type !== "progress" || event.total === 2)).toBe(true);
});
