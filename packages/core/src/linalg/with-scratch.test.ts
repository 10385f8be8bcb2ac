import { expect, test } from "vitest";
import type { Kernels } from "../kernels/kernels.ts";
import { referenceKernels } from "../kernels/reference-kernels.ts";
import type { Vec } from "../problem/matrix.ts";
import { withScratch } from "./with-scratch.ts";

/** Kernels that count what was allocated and not freed. */
function counting(): { kernels: Kernels; held: Set<Vec> } {
  const held = new Set<Vec>();
  const kernels: Kernels = {
    ...referenceKernels,
    alloc(length, dtype) {
      const vector = referenceKernels.alloc(length, dtype);
      held.add(vector);
      return vector;
    },
    free: (vector) => held.delete(vector),
  };
  return { kernels, held };
}

test("scratch is there while the work runs and freed afterwards", async () => {
  const { kernels, held } = counting();
  const during = await withScratch(kernels, async (alloc) => {
    alloc(3, "f32");
    await Promise.resolve();
    alloc(4, "f64");
    return held.size;
  });
  expect([during, held.size]).toEqual([2, 0]);
});

test("scratch is freed when the work throws", async () => {
  const { kernels, held } = counting();
  const work = withScratch(kernels, (alloc) => {
    alloc(3, "f32");
    throw new Error("planted");
  });
  await expect(work).rejects.toThrow("planted");
  expect(held.size).toBe(0);
});
