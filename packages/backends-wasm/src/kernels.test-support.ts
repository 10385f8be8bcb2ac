/**
 * Operands for kernel tests. Whole numbers make every sum exact, in f32 too, in whatever order it is taken: a kernel must
 * then agree with the reference to the last bit, and a lost, doubled or misplaced term cannot hide in a tolerance.
 */
import { createRng, type Dtype, type Kernels, type Mat, matrix, type Rng, type Vec } from "@secateur/core";
import { expect } from "vitest";
import { supportedBuilds } from "./builds.ts";
import type { WasmKernelOptions } from "./create-wasm-kernels.ts";

/** Where operands live: in the kernels' own memory, or in ordinary arrays that must be copied in. */
export type Residence = "inside" | "outside";

/** The smallest memory allowed: everything but the smallest operands goes through it in tiles. */
export const TINY_MEMORY: number = 2 * 1024 * 1024;

/** Both builds on one thread, and each way of sharing or cutting work once. */
export const configurations: readonly WasmKernelOptions[] = [
  ...supportedBuilds().map((build) => ({ build, threads: 1 })),
  { threads: 2 },
  { threads: 1, maxMemoryBytes: TINY_MEMORY },
];

/** A short name of a configuration. */
export function nameOf({ build, threads, maxMemoryBytes }: WasmKernelOptions): string {
  return `${build ?? "default build"}, ${threads} threads${maxMemoryBytes === undefined ? "" : `, ${maxMemoryBytes} bytes`}`;
}

/** Makes operands of one dtype in one place, with entries drawn from one seeded stream. */
export class Operands {
  readonly #rng: Rng;
  readonly #kernels: Kernels;
  readonly #dtype: Dtype;
  readonly #residence: Residence;

  constructor(kernels: Kernels, dtype: Dtype, residence: Residence) {
    this.#rng = createRng(7);
    this.#kernels = kernels;
    this.#dtype = dtype;
    this.#residence = residence;
  }

  /** Zeros. */
  vector(length: number): Vec {
    if (this.#residence === "inside") return this.#kernels.alloc(length, this.#dtype);
    return this.#dtype === "f64" ? new Float64Array(length) : new Float32Array(length);
  }

  /** Whole numbers from -limit to limit. */
  wholeVector(length: number, limit = 8): Vec {
    const vector = this.vector(length);
    for (let i = 0; i < length; i++) vector[i] = this.#rng.integer(2 * limit + 1) - limit;
    return vector;
  }

  /** Uniform reals in [-1, 1). */
  realVector(length: number): Vec {
    const vector = this.vector(length);
    for (let i = 0; i < length; i++) vector[i] = 2 * this.#rng.next() - 1;
    return vector;
  }

  whole(rows: number, cols: number, limit = 8): Mat {
    return matrix(rows, cols, this.wholeVector(rows * cols, limit));
  }

  real(rows: number, cols: number): Mat {
    return matrix(rows, cols, this.realVector(rows * cols));
  }

  filled(rows: number, cols: number, value: number): Mat {
    const data = this.vector(rows * cols);
    data.fill(value);
    return matrix(rows, cols, data);
  }

  /** A lower triangle of whole numbers whose diagonal is 1, 2 or 4, so that divisions by it are exact; junk above. */
  wholeTriangle(n: number): Mat {
    const l = this.whole(n, n, 1);
    for (let i = 0; i < n; i++) l.data[i * n + i] = 2 ** this.#rng.integer(3);
    return l;
  }
}

/** An entry that exists. */
export function at(vector: Vec, i: number): number {
  return vector[i] as number;
}

/** A copy in ordinary memory. */
export function copyOf(mat: Mat): Mat {
  return { ...mat, data: mat.data.slice() };
}

/** The bytes of a vector, to compare exactly (NaN equals itself, -0 differs from 0). */
export function bytesOf(vector: Vec | Uint32Array): Buffer {
  return Buffer.from(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength).slice());
}

/** Fails unless both hold the same bytes; `where` says which case it was. */
export function expectSame(found: Vec | Uint32Array, expected: Vec | Uint32Array, where: string): void {
  // Comparing bytes first: a deep comparison of thousands of entries takes longer than the kernels.
  if (!bytesOf(found).equals(bytesOf(expected))) expect(found, where).toEqual(expected);
}

/** The largest of some errors, each divided by its bound: at most 1 when all keep to them; NaN when one is NaN. */
export function worstRatio(errors: Iterable<readonly [error: number, bound: number]>): number {
  let worst = 0;
  for (const [error, bound] of errors) {
    const ratio = error === 0 ? 0 : Math.abs(error) / bound;
    if (!(ratio <= worst)) worst = ratio;
  }
  return worst;
}

/** Rounding of one operation: half the distance from 1 to the next number. */
export function roundoff(dtype: Dtype): number {
  return dtype === "f64" ? 2 ** -53 : 2 ** -24;
}
