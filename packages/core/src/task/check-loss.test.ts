import { expect, test } from "vitest";
import { checkedLoss, outputFactorFault } from "./check-loss.ts";
import type { LossSum } from "./task.ts";

const outputs = { scores: { shape: [3, 2], data: Float64Array.of(0, 1, 2, 3, 4, 5) } };
const origin = { task: { name: "mine" }, model: "net", outputs, example: (row: number) => 10 + row };

test("a loss is returned as it is where both its numbers are finite", () => {
  expect(checkedLoss({ sum: -1, count: 3 }, origin)).toEqual({ sum: -1, count: 3 });
});

test("what is no sum and count is told as the task's fault", () => {
  expect(() => checkedLoss(4 as unknown as LossSum, origin)).toThrow(
    /^task mine: found that loss\(\) returned 4 without/,
  );
  expect(() => checkedLoss({ sum: 1 } as LossSum, origin)).toThrow(
    /returned an object without numbers 'sum' and 'count'/,
  );
});

test("a loss that is not finite is the task's where all outputs are finite, else that of the first such example", () => {
  expect(() => checkedLoss({ sum: Number.NaN, count: 3 }, origin)).toThrow(/^task mine: loss\(\) returned { sum: NaN/);
  const broken = { scores: { shape: [3, 2], data: Float64Array.of(0, 1, 2, Number.NaN, 4, 5) } };
  expect(() => checkedLoss({ sum: Number.NaN, count: 3 }, { ...origin, outputs: broken })).toThrow(
    /network 'net': its output for example 11 is not finite/,
  );
});

test("an output factor has columns, two products and draws", () => {
  const whole = { columns: 2, times: () => {}, transposeTimes: () => {}, draw: () => {} };
  expect(outputFactorFault(whole)).toBeUndefined();
  expect(outputFactorFault({ ...whole, columns: 0 })).toMatch(/'columns' 0/);
  expect(outputFactorFault({ ...whole, draw: undefined })).toMatch(/without draw\(\)/);
});
