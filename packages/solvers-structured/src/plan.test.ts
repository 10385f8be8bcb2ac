import type { RunSituation } from "@secateur/core";
import { expect, test } from "vitest";
import { rowsPlan } from "./plan.ts";

const situation = { prunable: 32_000, examples: 60_000 } as RunSituation;

test("rows become fewer where weights are many, and are means of mini-batches where they are dear", () => {
  expect(rowsPlan(situation)).toMatchObject({ examples: 512, batch: 1 });
  expect(rowsPlan({ ...situation, prunable: 270_000, weightReuse: 150 })).toMatchObject({ examples: 272, batch: 16 });
  expect(rowsPlan({ ...situation, prunable: 1e8 })).toMatchObject({ examples: 128 });
  expect(rowsPlan({ ...situation, examples: 600, weightReuse: 150 })).toMatchObject({ batch: 1 });
});
