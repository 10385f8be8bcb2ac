import { expect, test } from "vitest";
import type { LayerNumbers } from "../run-stage.ts";
import { numbersOfTaken } from "./numbers-of-taken.ts";

test("a layer's error is that of the weights that were taken, or none", () => {
  const own: LayerNumbers = { relativeError: 0.1, maskedError: 0.4, solveMs: 5, status: "converged" };
  for (const taken of [undefined, "step"] as const) expect(numbersOfTaken(own, { taken, stages: 2 })).toEqual(own);
  expect(numbersOfTaken(own, { taken: "mask", stages: 1 })).toEqual({ ...own, relativeError: 0.4 });
  for (const [taken, stages] of [
    ["mask", 2],
    ["last", 1],
    ["magnitude", 1],
  ] as const) {
    expect(numbersOfTaken(own, { taken, stages })).toEqual({ solveMs: 5, status: "converged" });
  }
});
