/**
 * What kernels make of weights that come again and again: packed, transformed, in another order. It is kept beside a copy of the numbers it
 * was made of, which are compared at every use, so that whoever writes weights has to tell nobody.
 */
import { dtypeOf, type Vec } from "@secateur/core";
import type { WasmMemory } from "./wasm-memory.ts";

/** The share of the memory that kept weights and the copies beside them may take, and the most. */
const SHARE = 1 / 8;
const MOST_BYTES = 256 * 1024 * 1024;

interface Entry {
  /** The numbers that the pieces were made of, and those that are there now, as they are compared. */
  readonly before: readonly (Vec | Uint8Array)[];
  readonly now: readonly (Vec | Uint8Array)[];
  /** The copy, and the pieces by key. */
  readonly kept: Map<string | undefined, Vec>;
}

/** Packed, transformed or reordered weights, kept between calls. */
export class KeptWeights {
  readonly #memory: WasmMemory;
  readonly #mostBytes: number;
  readonly #entries = new WeakMap<Vec, Entry>();
  /** Everything that is kept; what is garbage falls out when room is looked for. */
  #all: WeakRef<Vec>[] = [];
  #bytes = 0;

  constructor(memory: WasmMemory) {
    this.#memory = memory;
    this.#mostBytes = Math.min(MOST_BYTES, memory.maxBytes * SHARE);
  }

  /**
   * The address of `length` numbers that `make` writes there once for these weights, and again when they changed. Undefined where there is no
   * room for them, or `make` has none; then nothing is copied either.
   *
   * @param key - tells apart what is made of the same weights
   */
  addressOf(
    weights: Vec,
    { key, length, make }: { key: string; length: number; make(address: number): boolean },
  ): number | undefined {
    let entry = this.#entries.get(weights);
    if (entry && !isUnchanged(entry)) {
      for (const vector of entry.kept.values()) this.#free(vector);
      this.#entries.delete(weights);
      entry = undefined;
    }
    const known = entry?.kept.get(key);
    if (known) return this.#memory.addressOf(known);
    const bytes = length * weights.BYTES_PER_ELEMENT;
    if (!this.#hasRoom(bytes + (entry ? 0 : weights.byteLength))) return undefined;
    const piece = this.#memory.alloc(length, dtypeOf(weights));
    const address = this.#memory.addressOf(piece);
    if (address === undefined || !make(address)) {
      this.#memory.free(piece);
      return undefined;
    }
    entry ??= this.#begin(weights);
    this.#keep(entry, key, piece);
    return address;
  }

  #begin(weights: Vec): Entry {
    const isPaired = weights.byteOffset % 8 === 0;
    const copy = weights.slice();
    const entry = { before: compared(copy, isPaired), now: compared(weights, isPaired), kept: new Map() };
    this.#entries.set(weights, entry);
    this.#keep(entry, undefined, copy);
    return entry;
  }

  #keep(entry: Entry, key: string | undefined, vector: Vec): void {
    entry.kept.set(key, vector);
    this.#all.push(new WeakRef(vector));
    this.#bytes += vector.byteLength;
  }

  #hasRoom(bytes: number): boolean {
    if (bytes > this.#mostBytes) return false;
    if (this.#bytes + bytes <= this.#mostBytes) return true;
    this.#all = this.#all.filter((vector) => vector.deref() !== undefined);
    this.#bytes = this.#all.reduce((sum, vector) => sum + (vector.deref()?.byteLength ?? 0), 0);
    return this.#bytes + bytes <= this.#mostBytes;
  }

  #free(vector: Vec): void {
    this.#memory.free(vector);
    this.#bytes -= vector.byteLength;
    this.#all = this.#all.filter((one) => one.deref() !== vector);
  }
}

/**
 * Numbers as they are compared: bytes where the host compares those itself (several times faster), else two f32 at a time as one f64, where they
 * lie so. What counts as the same gives the same sums: the same bits, or zeros of the other sign, which make no difference to a sum that begins
 * with +0.
 */
function compared({ buffer, byteOffset, byteLength, length, BYTES_PER_ELEMENT }: Vec, isPaired: boolean): Entry["now"] {
  if (compareBytes && byteLength >= LEAST_BYTES) return [new Uint8Array(buffer, byteOffset, byteLength)];
  if (BYTES_PER_ELEMENT === 8) return [new Float64Array(buffer, byteOffset, length)];
  if (!isPaired) return [new Float32Array(buffer, byteOffset, length)];
  const pairs = new Float64Array(buffer, byteOffset, length >> 1);
  return length % 2 === 0 ? [pairs] : [pairs, new Float32Array(buffer, byteOffset + 8 * pairs.length, 1)];
}

/** Below this calling the host takes longer than a loop. */
const LEAST_BYTES = 512;

/** Node's comparison of bytes; browsers have none. */
const compareBytes = (
  globalThis as { process?: { getBuiltinModule?(name: "node:buffer"): typeof import("node:buffer") } }
).process?.getBuiltinModule?.("node:buffer").Buffer.compare;

function isUnchanged({ before, now }: Entry): boolean {
  return now.every((part, p) => isSame(part, before[p]!));
}

function isSame(a: Vec | Uint8Array, b: Vec | Uint8Array): boolean {
  if (a instanceof Uint8Array) return compareBytes!(a, b as Uint8Array) === 0;
  return areSameNumbers(a, b as Vec);
}

function areSameNumbers(a: Vec, b: Vec): boolean {
  const whole = a.length - (a.length % 4);
  let i = 0;
  for (; i < whole; i += 4) {
    if (a[i] !== b[i] || a[i + 1] !== b[i + 1] || a[i + 2] !== b[i + 2] || a[i + 3] !== b[i + 3]) return false;
  }
  for (; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
