import { arrayDataset, type Evaluation, matrix } from "@secateur/core";
import { expect, test } from "vitest";
import { noteNoBetter } from "./note-no-better.ts";

// Two numbers an example, about 100 and about -3: their spread is that around each mean, not around both.
const values = Float32Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 100 + (i % 4 === 0 ? 5 : -5) : -3));
const data = arrayDataset({ inputs: matrix(100, 1, new Float32Array(100)), values: matrix(100, 2, values) });
/** Half of the numbers are 5 from their mean, the others at it. */
const spread = Math.sqrt(25 / 2);

test.each([
  [spread, 1],
  [0.99 * spread, 1],
  [2 * spread, 1],
  [0.9 * spread, 0],
])("an error of %d is told where it is no better than the mean of the targets", async (value, expected) => {
  const measures = [{ name: "rmse", unit: "", better: "lower" as const, value }];
  const told: string[] = [];
  const onEvent = (event: object): void => void told.push(JSON.stringify(event));
  const evaluation: Evaluation = { accuracy: Number.NaN, loss: 1, examples: 100, task: "regression", measures };
  await noteNoBetter({ data, test: evaluation, onEvent });
  expect(told).toHaveLength(expected);
  if (expected === 1) expect(told[0]).toMatch(/no better than always answering the mean of the targets, 3.54/);
});
