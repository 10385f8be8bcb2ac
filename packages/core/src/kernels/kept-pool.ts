/**
 * The memory of a run kept for the next one: fresh vectors are zeroed before they are written, which can take as long as the run itself.
 * Runs with another key start with nothing, so that what is kept never exceeds what one run took.
 */
import type { Dtype } from "../problem/matrix.ts";
import type { Kernels } from "./kernels.ts";
import { createPool, type Pool } from "./pool.ts";

/** Lends a pool for the length of some work. */
export interface KeptPool {
  /**
   * @param key - what fixes the sizes of a run, compared with ===; memory is kept for one key, and that of another given back
   * @throws what `work` throws, after which nothing is kept
   */
  use<T>(kernels: Kernels, key: unknown, work: (pool: Pool) => Promise<T>): Promise<T>;
}

interface Kept {
  readonly pool: Pool;
  readonly key: unknown;
}

/** Keeps at most one pool for each backend, and for no longer than the backend and what this is returned to live. */
export function keptPool(dtype: Dtype): KeptPool {
  const free = new WeakMap<Kernels, Kept>();
  return {
    async use(kernels, key, work) {
      const known = free.get(kernels);
      // Whoever comes while it is lent finds none and starts its own.
      free.delete(kernels);
      const isFitting = known !== undefined && known.key === key;
      if (!isFitting) known?.pool.close();
      const pool = isFitting ? known.pool : createPool(kernels, dtype);
      try {
        const result = await work(pool);
        free.get(kernels)?.pool.close();
        free.set(kernels, { pool, key });
        return result;
      } catch (error) {
        pool.close();
        throw error;
      }
    },
  };
}
