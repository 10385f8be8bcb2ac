import { describe, expect, test } from "vitest";
import { matrix } from "../problem/matrix.ts";
import { arrayDataset, batches, inputRows, labelsOf, subset, tensorDataset } from "./dataset.ts";
import { keptInMemory } from "./kept-in-memory.ts";

const inputs = matrix(3, 2, Float32Array.of(1, 2, 3, 4, 5, 6));

describe("arrayDataset", () => {
  test("gives the examples asked for, in the order asked for, with repeats", async () => {
    const data = arrayDataset({ inputs, labels: [0, 1, 1] });
    const batch = await data.batch(Uint32Array.of(2, 0, 2));
    expect([...inputRows(batch).data]).toEqual([5, 6, 1, 2, 5, 6]);
    expect([...labelsOf(batch)]).toEqual([1, 0, 1]);
    expect(data.targets).toEqual([{ name: "labels", shape: [], dtype: "u32", classes: 2 }]);
  });

  test("a subset renumbers, and batches cover everything once with a smaller last one", async () => {
    const data = subset(arrayDataset({ inputs, labels: [0, 1, 2] }), Uint32Array.of(2, 1, 0));
    const labels: number[][] = [];
    for await (const batch of batches(data, 2)) labels.push([...labelsOf(batch)]);
    expect(labels).toEqual([[2, 1], [0]]);
  });

  test("has no targets without labels, and targets of any width with values", async () => {
    const data = arrayDataset({ inputs });
    expect(data.targets).toBeUndefined();
    const batch = await data.batch(Uint32Array.of(1));
    expect(batch.targets).toBeUndefined();
    expect(() => labelsOf(batch)).toThrow(expect.objectContaining({ code: "ERR_SHAPE" }));
    const values = arrayDataset({ inputs, values: matrix(3, 2, Float32Array.of(7, 8, 9, 10, 11, 12)) });
    const { targets } = await values.batch(Uint32Array.of(2, 0));
    expect(targets?.["values"]).toEqual({ shape: [2, 2], data: Float32Array.of(11, 12, 7, 8) });
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

describe("tensorDataset", () => {
  test("keeps several inputs of any type, and gives a run of examples without copying it", async () => {
    const tokens = { shape: [3, 2], data: BigInt64Array.of(1n, 2n, 3n, 4n, 5n, 6n) };
    const mask = { shape: [3, 2], data: Uint8Array.of(1, 1, 1, 0, 1, 1) };
    const data = tensorDataset({ inputs: { tokens, mask }, targets: { next: tokens }, classes: { next: 7 } });
    expect(data.inputs.map(({ name, shape, dtype }) => [name, shape, dtype])).toEqual([
      ["tokens", [2], "i64"],
      ["mask", [2], "u8"],
    ]);
    expect(data.targets?.[0]?.classes).toBe(7);
    const run = await data.batch(Uint32Array.of(1, 2));
    expect(run.inputs["tokens"]!.data.buffer).toBe(tokens.data.buffer);
    const mixed = await data.batch(Uint32Array.of(2, 0));
    expect(mixed.inputs["tokens"]).toEqual({ shape: [2, 2], data: BigInt64Array.of(5n, 6n, 1n, 2n) });
    expect(mixed.inputs["mask"]!.data).toEqual(Uint8Array.of(1, 1, 1, 1));
  });

  test("gathers inputs in f32 where there is room for them, through subsets and what is kept in memory", async () => {
    const whole = tensorDataset({
      inputs: { x: { shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) } },
      targets: { y: { shape: [3], data: Float32Array.of(1, 2, 3) } },
    });
    for (const data of [whole, subset(whole, Uint32Array.of(0, 1, 2)), keptInMemory(whole)]) {
      const given: Float32Array[] = [];
      const room = (length: number): Float32Array => {
        given.push(new Float32Array(length));
        return given.at(-1)!;
      };
      const { inputs, targets } = await data.batch(Uint32Array.of(2, 0), room);
      expect(given).toEqual([Float32Array.of(5, 6, 1, 2)]);
      expect(inputs["x"]!.data).toBe(given[0]);
      expect(targets!["y"]!.data).toEqual(Float32Array.of(3, 1));
    }
  });

  test("refuses tensors of different numbers of examples", () => {
    const [three, two] = [
      { shape: [3], data: new Float32Array(3) },
      { shape: [2], data: new Float32Array(2) },
    ];
    expect(() => tensorDataset({ inputs: { a: three }, targets: { b: two } })).toThrow(
      expect.objectContaining({ code: "ERR_SHAPE" }),
    );
  });
});
