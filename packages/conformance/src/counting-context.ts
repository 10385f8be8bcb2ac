/** A run context that notices what is allocated and not freed, and what is used after it was freed. */
import {
  createRunContext,
  type Kernels,
  type RunContext,
  type RunContextOptions,
  referenceKernels,
  type Vec,
} from "@secateur/core";

/**
 * A context whose kernels count the vectors that are allocated and not yet freed, and fill those that are freed with NaN.
 *
 * @returns the context, and `live`, how many vectors wait to be freed
 */
export function countingContext(options: RunContextOptions = {}): { ctx: RunContext; live: () => number } {
  const vectors = new Set<Vec>();
  const kernels: Kernels = {
    ...referenceKernels,
    alloc(length, dtype) {
      const vector = referenceKernels.alloc(length, dtype);
      vectors.add(vector);
      return vector;
    },
    free(vector) {
      if (vectors.delete(vector)) vector.fill(Number.NaN);
    },
  };
  return { ctx: createRunContext({ ...options, kernels }), live: () => vectors.size };
}
