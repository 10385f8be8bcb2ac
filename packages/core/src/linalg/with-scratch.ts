import type { Kernels } from "../kernels/kernels.ts";
import { plainView } from "../kernels/plain-view.ts";
import type { Dtype, Vec } from "../problem/matrix.ts";

/**
 * Runs `work` with an allocator of kernel memory, `alloc(length, dtype)`, whose zero-filled vectors (views of the plain classes, fast
 * in loops) are freed afterwards, also when it throws: the garbage collector does not see how full that memory is, so a forgotten matrix would stay for long.
 *
 * @returns what `work` returns; it must not be one of the vectors, or a view of one
 * @example
 * const trace = await withScratch(kernels, (alloc) => {
 *   const H = matrix(c, c, alloc(c * c, "f64"));
 *   kernels.gram({ a: G, transpose: true, out: H });
 *   return traceOf(H);
 * });
 */
export async function withScratch<T>(
  kernels: Kernels,
  work: (alloc: (length: number, dtype: Dtype) => Vec) => T | Promise<T>,
): Promise<T> {
  const owned: Vec[] = [];
  try {
    return await work((length, dtype) => {
      const vector = kernels.alloc(length, dtype);
      owned.push(vector);
      return plainView(vector);
    });
  } finally {
    for (const vector of owned) kernels.free(vector);
  }
}

/** Runs `fill` on a new vector of kernel memory that is the caller's to free afterwards; freed here when `fill` throws. */
export async function filledVector(
  spec: { readonly kernels: Kernels; readonly length: number; readonly dtype: Dtype },
  fill: (vector: Vec) => void | Promise<void>,
): Promise<Vec> {
  const vector = spec.kernels.alloc(spec.length, spec.dtype);
  try {
    await fill(vector);
    return vector;
  } catch (error) {
    spec.kernels.free(vector);
    throw error;
  }
}
