/** Vectors of kernel memory that are used again: a fresh one is zeroed first, which costs as much as writing it. */
import type { Dtype, Kernels, Vec } from "@secateur/core";

/** Vectors by length. What is taken holds whatever it held. */
export interface Pool {
  readonly kernels: Kernels;
  readonly dtype: Dtype;
  take(length: number): Vec;
  /** Must have been taken from this pool, and is not used afterwards. */
  give(vector: Vec): void;
  /** Gives everything that nobody holds back to the kernels. */
  drain(): void;
}

/** A pool of one dtype. */
export function createPool(kernels: Kernels, dtype: Dtype): Pool {
  const free = new Map<number, Vec[]>();
  return {
    kernels,
    dtype,
    take: (length) => free.get(length)?.pop() ?? kernels.alloc(length, dtype),
    give(vector) {
      const list = free.get(vector.length);
      if (list) list.push(vector);
      else free.set(vector.length, [vector]);
    },
    drain() {
      for (const list of free.values()) for (const vector of list) kernels.free(vector);
      free.clear();
    },
  };
}
