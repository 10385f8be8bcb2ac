import { expect, test } from "vitest";
import { countingKernels } from "./random-systems.test-support.ts";
import { withScratch } from "./with-scratch.ts";

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
