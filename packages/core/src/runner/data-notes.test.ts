import { expect, test } from "vitest";
import { arrayDataset, type Dataset, inputRows } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { matrix } from "../problem/matrix.ts";
import { createRunContext } from "../run-context.ts";
import { dataNotes } from "./data-notes.ts";

const dataOf = (inputs: readonly number[], labels: readonly number[], classes = 3): Dataset =>
  arrayDataset({ inputs: matrix(inputs.length, 1, Float32Array.from(inputs)), labels, classes });

/** y = slope x + 1 */
const line = (slope: number): Model => ({
  ...{ name: "line", inputs: [], outputs: [], params: () => [] },
  read: async () => matrix(1, 1, new Float32Array(1)),
  write: async () => {},
  async run(batch) {
    return { output: { shape: [batch.size, 1], data: inputRows(batch).data.map((x) => slope * x + 1) } };
  },
});

const count = 40;
const counted = Array.from({ length: count }, (_, i) => i);
const mixed = counted.map((i) => i % 3);

test("what keeps weights from being told apart is named, and nothing is said of sound data", async () => {
  const cases: readonly (readonly [Dataset, number, number, readonly string[]])[] = [
    [dataOf(counted, mixed), 1, 400, []],
    [dataOf(counted.fill.call(counted.slice(), 7), mixed), 1, 400, ["constant-inputs"]],
    [dataOf(counted, mixed), 0, 400, ["constant-outputs"]],
    [
      dataOf(
        counted,
        counted.map(() => 2),
      ),
      1,
      400,
      ["one-class"],
    ],
    [dataOf([1, 2], [0, 1]), 1, 2, ["few-examples", "few-held-out"]],
  ];
  for (const [accept, slope, examples, codes] of cases) {
    const notes = await dataNotes({ model: line(slope), accept, isHeldOut: true, examples }, createRunContext());
    expect(notes.map(({ code }) => code)).toEqual(codes);
  }
});
