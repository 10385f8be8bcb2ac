import { expect, test } from "vitest";
import { arrayDataset, type Dataset, inputRows } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { matrix } from "../problem/matrix.ts";
import { createRunContext } from "../run-context.ts";
import { classification } from "../task/losses/classification.ts";
import { distillation } from "../task/losses/distillation.ts";
import type { Task } from "../task/task.ts";
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
    const spec = { model: line(slope), accept, task: classification(), isHeldOut: true, examples };
    const notes = await dataNotes(spec, createRunContext());
    expect(notes.map(({ code }) => code)).toEqual(codes);
  }
});

test("examples of the same inputs and other labels are counted, here and among the other examples", async () => {
  const accept = dataOf(counted, mixed);
  const spec = { model: line(1), accept, isHeldOut: true, examples: 400 };
  const found = async (others: Dataset, task: Task = classification()) =>
    (await dataNotes({ ...spec, others, task }, createRunContext())).map(({ code, message }) => [code, message]);
  // Examples 0 to 3 again, three of them with another label: 6 of 44 contradict another.
  const some = dataOf([0, 1, 2, 3], [1, 2, 0, mixed[3]!]);
  expect(await found(some)).toEqual([["contradictory-labels", expect.stringMatching(/^6 of 44 examples/)]]);
  // Repeated examples contradict nothing, and neither do labels that the task does not read.
  expect(await found(accept)).toEqual([]);
  expect(await found(some, distillation())).toEqual([]);
  // One example in fifty is noise.
  expect(await found(dataOf([0, ...counted.map((i) => i + 100)], [1, ...mixed]))).toEqual([]);
});
