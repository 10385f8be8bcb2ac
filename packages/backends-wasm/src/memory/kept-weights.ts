/**
 * What kernels make of weights that come again and again: packed, transformed, in another order. It is kept beside a copy of the numbers it
 * was made of, which are compared at every use, so that whoever writes weights has to tell nobody.
 */
import { dtypeOf, type Vec } from "@secateur/core";
import type { WasmMemory } from "./wasm-memory.ts";

/** The share of the memory that kept weights may take, and the most. */
const SHARE = 1 / 8;
const MOST_BYTES = 256 * 1024 * 1024;

interface Entry {
  /** The numbers that the pieces were made of, and those that are there now, as they are compared. */
  readonly then: readonly Vec[];
  readonly now: readonly Vec[];
  readonly pieces: Map<string, Vec>;
}

export class KeptWeights {
  readonly #memory: WasmMemory;
  readonly #mostBytes: number;
  readonly #entries = new WeakMap<Vec, Entry>();
  /** Everything that is kept; what is garbage falls out when room is looked for. */
  #pieces: WeakRef<Vec>[] = [];
  #bytes = 0;

  constructor(memory: WasmMemory) {
    this.#memory = memory;
    this.#mostBytes = Math.min(MOST_BYTES, memory.maxBytes * SHARE);
  }

  /**
   * The address of `length` numbers that `make` writes there once for these weights, and again when they changed. Undefined where there is no
   * room for them, or `make` has none.
   *
   * @param key - tells apart what is made of the same weights
   */
  addressOf(
    weights: Vec,
    { key, length, make }: { key: string; length: number; make(address: number): boolean },
  ): number | undefined {
    const known = this.#entries.get(weights);
    const entry = known?.now.every((part, p) => isSame(part, known.then[p]!)) ? known : this.#begin(weights);
    let piece = entry.pieces.get(key);
    if (!piece) {
      piece = this.#allocate(length, weights);
      const made = piece && make(this.#memory.addressOf(piece)!);
      if (!piece || !made) return undefined;
      entry.pieces.set(key, piece);
    }
    return this.#memory.addressOf(piece);
  }

  #begin(weights: Vec): Entry {
    for (const piece of this.#entries.get(weights)?.pieces.values() ?? []) this.#free(piece);
    const isPaired = weights.byteOffset % 8 === 0;
    const [then, now] = [weights.slice(), weights].map((vector) => compared(vector, isPaired)) as [
      readonly Vec[],
      readonly Vec[],
    ];
    const entry = { then, now, pieces: new Map<string, Vec>() };
    this.#entries.set(weights, entry);
    return entry;
  }

  #allocate(length: number, like: Vec): Vec | undefined {
    const bytes = length * like.BYTES_PER_ELEMENT;
    if (this.#bytes + bytes > this.#mostBytes) {
      this.#pieces = this.#pieces.filter((piece) => piece.deref() !== undefined);
      this.#bytes = this.#pieces.reduce((sum, piece) => sum + (piece.deref()?.byteLength ?? 0), 0);
      if (this.#bytes + bytes > this.#mostBytes) return undefined;
    }
    const piece = this.#memory.alloc(length, dtypeOf(like));
    if (this.#memory.addressOf(piece) === undefined) return undefined;
    this.#pieces.push(new WeakRef(piece));
    this.#bytes += bytes;
    return piece;
  }

  #free(piece: Vec): void {
    this.#memory.free(piece);
    this.#bytes -= piece.byteLength;
    this.#pieces = this.#pieces.filter((one) => one.deref() !== piece);
  }
}

/**
 * Numbers as they are compared: two f32 at a time as one f64, where they lie so. Zeros of either sign are the same, since a sum that begins
 * with +0 comes out the same; NaN is never the same as anything, so that what was made of it is made anew.
 */
function compared({ buffer, byteOffset, length, BYTES_PER_ELEMENT }: Vec, isPaired: boolean): readonly Vec[] {
  if (BYTES_PER_ELEMENT === 8) return [new Float64Array(buffer, byteOffset, length)];
  if (!isPaired) return [new Float32Array(buffer, byteOffset, length)];
  const pairs = new Float64Array(buffer, byteOffset, length >> 1);
  return length % 2 === 0 ? [pairs] : [pairs, new Float32Array(buffer, byteOffset + 8 * pairs.length, 1)];
}

function isSame(a: Vec, b: Vec): boolean {
  const whole = a.length - (a.length % 4);
  let i = 0;
  for (; i < whole; i += 4) {
    if (a[i] !== b[i] || a[i + 1] !== b[i + 1] || a[i + 2] !== b[i + 2] || a[i + 3] !== b[i + 3]) return false;
  }
  for (; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
