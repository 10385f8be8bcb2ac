import { describe, expect, test } from "vitest";
import { matrix } from "../problem/matrix.ts";
import { arrayDataset, batches, subset } from "./dataset.ts";

const inputs = matrix(3, 2, Float32Array.of(1, 2, 3, 4, 5, 6));

describe("arrayDataset", () => {
  test("gives the examples asked for, in the order asked for, with repeats", async () => {
    const data = arrayDataset({ inputs, labels: [0, 1, 1] });
    const batch = await data.batch(Uint32Array.of(2, 0, 2));
    expect([...batch.inputs.data]).toEqual([5, 6, 1, 2, 5, 6]);
    expect([...batch.labels]).toEqual([1, 0, 1]);
    expect(data.classes).toBe(2);
  });

  test("a subset renumbers, and batches cover everything once with a smaller last one", async () => {
    const data = subset(arrayDataset({ inputs, labels: [0, 1, 2] }), Uint32Array.of(2, 1, 0));
    const labels: number[][] = [];
    for await (const batch of batches(data, 2)) labels.push([...batch.labels]);
    expect(labels).toEqual([[2, 1], [0]]);
  });

  test.each([
    ["ERR_SHAPE", { inputs, labels: [0, 1] }],
    ["ERR_SHAPE", { inputs, labels: [0, 1, 1], inputShape: [3] }],
    ["ERR_LABEL_RANGE", { inputs, labels: [0, 2, 1], classes: 2 }],
    ["ERR_LABEL_RANGE", { inputs, labels: [0, -1, 1], classes: 2 }],
    ["ERR_LABEL_RANGE", { inputs, labels: [0, -1, 1] }],
    ["ERR_LABEL_RANGE", { inputs, labels: [0, 0.5, 1] }],
    ["ERR_NOT_FINITE", { inputs: matrix(1, 2, Float32Array.of(1, Number.NaN)), labels: [0] }],
  ])("refuses with %s", (code, spec) => {
    expect(() => arrayDataset(spec)).toThrow(expect.objectContaining({ code }));
  });
});
