import { expect, test } from "vitest";
import { countingKernels } from "./random-systems.test-support.ts";
import { filledVector, withScratch } from "./with-scratch.ts";

test("scratch is there while the work runs and freed afterwards", async () => {
  const { kernels, held } = countingKernels();
  const during = await withScratch(kernels, async (alloc) => {
    alloc(3, "f32");
    await Promise.resolve();
    alloc(4, "f64");
    return held.size;
  });
  expect([during, held.size]).toEqual([2, 0]);
});

test("scratch is freed when the work throws", async () => {
  const { kernels, held } = countingKernels();
  const work = withScratch(kernels, (alloc) => {
    alloc(3, "f32");
    throw new Error("planted");
  });
  await expect(work).rejects.toThrow("planted");
  expect(held.size).toBe(0);
});

test("a filled vector is the caller's, or freed when filling it throws", async () => {
  const { kernels, held } = countingKernels();
  const spec = { kernels, length: 2, dtype: "f64" } as const;
  const vector = await filledVector(spec, (data) => {
    data.fill(3);
  });
  expect([[...vector], held.has(vector)]).toEqual([[3, 3], true]);
  kernels.free(vector);
  const failing = filledVector(spec, () => {
    throw new Error("planted");
  });
  await expect(failing).rejects.toThrow("planted");
  expect(held.size).toBe(0);
});
