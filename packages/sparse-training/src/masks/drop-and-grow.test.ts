import { referenceKernels as kernels } from "@secateur/core";
import { expect, test } from "vitest";
import { type DropCriterion, dropAndGrow } from "./drop-and-grow.ts";

const mask = Uint8Array.of(1, 1, 1, 1, 0, 0, 0);
const weights = Float64Array.of(0.1, -0.4, 2, -3, 0, 0, 0);
const gradients = Float64Array.of(9, 0.5, -0.01, 0.001, 2, 3, 1);

function next(drop: DropCriterion, count = 1): number[] {
  const growScore = (i: number): number => Math.abs(gradients[i]!);
  return [...dropAndGrow({ mask, count, weights, gradients, drop, lambda: 1, growScore, kernels })];
}

test("the smallest go and those of largest gradient come", () => {
  // Place 1 (.4) and 0 (.1) go. Place 0 has the largest gradient of all that are out, and comes back at once.
  expect(next("magnitude", 2)).toEqual([1, 0, 1, 1, 0, 1, 0]);
});

test.each([
  // |w|: .1 .4 2 3;  |w g|: .9 .2 .02 .003;  |w| + |g|: 9.1 .9 2.01 3.001;  |g|/|w|: 90 1.25 .005 .0003;  |w|/|g|: .011 .8 200 3000.
  ["magnitude", 0],
  ["snip", 3],
  ["mest", 1],
  ["sensitivity", 3],
  ["reciprocal-sensitivity", 0],
] as const)("%s drops place %i first", (drop, place) => {
  const growScore = (i: number): number => (i === 6 ? 1 : 0);
  const found = dropAndGrow({ mask, count: 1, weights, gradients, drop, lambda: 1, growScore, kernels });
  const expected = mask.slice();
  expected[place] = 0;
  expected[6] = 1;
  expect(found).toEqual(expected);
});

test("set drops the smallest positive and the largest negative weights", () => {
  const growScore = (i: number): number => i;
  const found = dropAndGrow({ mask, count: 2, weights, gradients, drop: "set", lambda: 1, growScore, kernels });
  expect([...found]).toEqual([0, 0, 1, 1, 0, 1, 1]);
});

test("as many are kept as before, whatever is asked", () => {
  for (let count = 0; count <= 4; count++) {
    expect(next("magnitude", count).reduce((sum, bit) => sum + bit, 0)).toBe(4);
  }
});
