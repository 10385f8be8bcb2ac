import { expect, test } from "vitest";
import { describeDifferences } from "./describe-differences.ts";

const differences = (before: object, now: object) => describeDifferences(JSON.stringify(before), JSON.stringify(now));

test("every field that differs is named with both values, and no other", () => {
  expect(differences({ seed: 0, stages: 3, same: 1 }, { seed: 1, stages: 4, same: 1 })).toBe(
    "seed was 0 and is 1, stages was 3 and is 4",
  );
});

test("fields inside objects are named themselves, without JSON", () => {
  expect(differences({ options: { pool: 64, rounds: 4 } }, { options: { pool: 32, rounds: 4 } })).toBe(
    "pool was 64 and is 32",
  );
  expect(differences({ regrow: true, ridgeFactors: [1] }, { regrow: false, ridgeFactors: [1, 2] })).toBe(
    "regrow was on and is off, ridgeFactors was 1 and is 1 2",
  );
});

test("a field that only one side has is said to be not set on the other", () => {
  expect(differences({}, { normalize: "0,1" })).toBe("normalize is 0,1 and was not set");
  expect(differences({ normalize: "0,1" }, {})).toBe("normalize was 0,1 and is not set");
});

test("text that is no JSON object is said to be unreadable", () => {
  expect(describeDifferences("old format", "{}")).toBe("its description cannot be read");
});
