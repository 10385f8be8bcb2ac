/** Vectors of kernel memory that are used again: a fresh one is zeroed first, which costs as much as writing it. */
import type { Dtype, Vec } from "../problem/matrix.ts";
import type { Kernels } from "./kernels.ts";
import { plainView } from "./plain-view.ts";

/** Vectors by length. What is taken holds whatever it held. */
export interface Pool {
  readonly kernels: Kernels;
  readonly dtype: Dtype;
  take(length: number): Vec;
  /** Must have been taken from this pool, and is not used afterwards. */
  give(vector: Vec): void;
  /** Gives everything back to the kernels, also what was taken and not given back: nothing of it is used afterwards. */
  close(): void;
}

/** A pool of one dtype. */
export function createPool(kernels: Kernels, dtype: Dtype): Pool {
  const free = new Map<number, Vec[]>();
  const all = new Set<Vec>();
  return {
    kernels,
    dtype,
    take(length) {
      const known = free.get(length)?.pop();
      if (known) return known;
      const vector = kernels.alloc(length, dtype);
      all.add(vector);
      // `all` keeps the memory alive.
      return plainView(vector);
    },
    give(vector) {
      const list = free.get(vector.length);
      if (list) list.push(vector);
      else free.set(vector.length, [vector]);
    },
    close() {
      for (const vector of all) kernels.free(vector);
      all.clear();
      free.clear();
    },
  };
}

/** Runs `work` with a pool that is closed whatever happens. */
export async function withPool<T>(kernels: Kernels, dtype: Dtype, work: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = createPool(kernels, dtype);
  try {
    return await work(pool);
  } finally {
    pool.close();
  }
}
