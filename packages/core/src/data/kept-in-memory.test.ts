import { expect, test } from "vitest";
import { matrix } from "../problem/matrix.ts";
import { arrayDataset, type Dataset } from "./dataset.ts";
import { keptInMemory } from "./kept-in-memory.ts";

function counting(size: number, features: number): { data: Dataset; calls: () => number } {
  const values = Float32Array.from({ length: size * features }, (_, i) => i);
  const inner = arrayDataset({
    inputs: matrix(size, features, values),
    labels: Array.from({ length: size }, (_, i) => i),
  });
  let calls = 0;
  const batch = (indices: Uint32Array) => {
    calls++;
    return inner.batch(indices);
  };
  return { data: { ...inner, batch }, calls: () => calls };
}

test("examples are decoded once, and batches in any order are those of the dataset", async () => {
  const { data, calls } = counting(7, 3);
  const kept = keptInMemory(data);
  for (const indices of [
    [0, 1, 2],
    [3, 4],
    [6, 2, 2],
  ].map((list) => Uint32Array.from(list))) {
    const found = await kept.batch(indices);
    expect(calls()).toBe(1);
    expect(found).toEqual(await counting(7, 3).data.batch(indices));
  }
});

test("examples that take too much memory are not kept", async () => {
  const { data } = counting(2, 1);
  // 8 bytes a number: one example more than fits into 64 MiB.
  const huge = { ...data, size: 2 ** 20 + 1, inputs: [{ name: "input", shape: [7], dtype: "f32" as const }] };
  expect(keptInMemory(huge)).toBe(huge);
});
