import type { Dtype, Kernels, Vec } from "@secateur/core";

/**
 * Runs `work` with an allocator of kernel memory whose vectors are freed afterwards, also when it throws: the memory does
 * not see the garbage collector's pressure, so a forgotten matrix would stay for long.
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
      return vector;
    });
  } finally {
    for (const vector of owned) kernels.free(vector);
  }
}
