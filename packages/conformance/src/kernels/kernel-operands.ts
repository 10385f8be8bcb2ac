/**
 * Operands for kernel checks. Whole numbers make every sum exact, in f32 too, in whatever order it is taken: kernels must
 * then agree to the last bit, and a lost, doubled or misplaced term cannot hide in a tolerance.
 */
import { createRng, type Dtype, type Kernels, type Mat, matrix, type Rng, type Vec, zeros } from "@secateur/core";
import { ensureSameBytes } from "../assertions.ts";

/** Where operands live: in the kernels' own memory, in an ordinary array, or in the middle of one. */
export type Residence = "inside" | "outside" | "offset";

/** Makes operands and remembers those that are inputs, with their contents. */
export class Operands {
  readonly #kernels: Kernels;
  readonly #dtype: Dtype;
  readonly #residence: Residence;
  readonly #rng: Rng = createRng(7);
  readonly #inputs: { readonly vector: Vec; readonly copy: Vec }[] = [];

  constructor(kernels: Kernels, dtype: Dtype, residence: Residence) {
    this.#kernels = kernels;
    this.#dtype = dtype;
    this.#residence = residence;
  }

  /** For outputs: filled with one number, not watched. */
  output(length: number, value: number = Number.NaN): Vec {
    return this.#vector(length).fill(value);
  }

  /** For outputs: a matrix filled with one number, not watched. */
  outputMatrix(rows: number, cols: number, value: number = Number.NaN): Mat {
    return matrix(rows, cols, this.output(rows * cols, value));
  }

  /** Whole numbers from -limit to limit, for operands that are changed in place. */
  changed(length: number, limit: number = 8): Vec {
    const vector = this.#vector(length);
    for (let i = 0; i < length; i++) vector[i] = this.#rng.integer(2 * limit + 1) - limit;
    return vector;
  }

  /** Whole numbers from -limit to limit, an input. */
  whole(length: number, limit: number = 8): Vec {
    return this.#input(this.changed(length, limit));
  }

  /** A matrix of whole numbers, an input. */
  wholeMatrix(rows: number, cols: number, limit: number = 8): Mat {
    return matrix(rows, cols, this.whole(rows * cols, limit));
  }

  /** Reals in [-1, 1), an input. */
  real(length: number): Vec {
    const vector = this.#vector(length);
    for (let i = 0; i < length; i++) vector[i] = 2 * this.#rng.next() - 1;
    return this.#input(vector);
  }

  /** A matrix of reals in [-1, 1), an input. */
  realMatrix(rows: number, cols: number): Mat {
    return matrix(rows, cols, this.real(rows * cols));
  }

  /** Given numbers, an input. */
  given(values: readonly number[]): Vec {
    const vector = this.#vector(values.length);
    vector.set(values);
    return this.#input(vector);
  }

  /** Indices below a bound. */
  indices(length: number, bound: number): Uint32Array {
    return Uint32Array.from({ length }, () => this.#rng.integer(bound));
  }

  /** A lower triangle of whole numbers whose diagonal is 1, 2 or 4, so that divisions by it are exact; junk above. An input. */
  triangle(n: number): Mat {
    const l = this.changed(n * n, 1);
    for (let i = 0; i < n; i++) l[i * (n + 1)] = 2 ** this.#rng.integer(3);
    return matrix(n, n, this.#input(l));
  }

  /** X'X + n I [n, n] of reals: well conditioned, for factorisations in place. */
  positive(n: number): Mat {
    const x = Float64Array.from({ length: n * n }, () => 2 * this.#rng.next() - 1);
    const data = this.#vector(n * n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let sum = i === j ? n : 0;
        for (let k = 0; k < n; k++) sum += x[k * n + i]! * x[k * n + j]!;
        data[i * n + j] = sum;
      }
    }
    return matrix(n, n, data);
  }

  /** @throws Error when an input is no longer what it was */
  ensureInputsUnchanged(what: string): void {
    for (const [i, { vector, copy }] of this.#inputs.entries()) {
      ensureSameBytes(vector, copy, `${what} changed its input ${i}`);
    }
  }

  #vector(length: number): Vec {
    if (this.#residence === "inside") return this.#kernels.alloc(length, this.#dtype);
    if (this.#residence === "outside") return zeros(length, this.#dtype);
    return zeros(length + 5, this.#dtype).subarray(3, 3 + length);
  }

  #input(vector: Vec): Vec {
    this.#inputs.push({ vector, copy: vector.slice() });
    return vector;
  }
}
