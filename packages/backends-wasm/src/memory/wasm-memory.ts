/**
 * One shared WebAssembly memory: workspace at fixed addresses below, a heap of vectors above it. A shared memory grows without
 * detaching older views, but each growth makes a new buffer object over the same bytes, so all of them are remembered. V8 makes new ones of every shared memory
 * where any of them grows, also of those that did not.
 */
import { type Dtype, dtypeOf, type Vec } from "@secateur/core";
import { badOption, memoryExhausted } from "../errors.ts";
import { Heap } from "./heap.ts";
import { heapVector } from "./heap-vector.ts";

const PAGE_BYTES = 65536;
/** The heap asks for at least this much at a time. */
const GROWTH_BYTES = 16 * 1024 * 1024;

/**
 * Takes back what lay at an address when the vector there is garbage. One for all memories, because it must not be garbage itself: V8 (as
 * of Node 20 to 24) calls no finalizer of the process any more once a registry died between its vectors and its turn.
 */
const collected = new FinalizationRegistry<{ readonly heap: Heap; readonly address: number }>(({ heap, address }) =>
  heap.free(address),
);

export class WasmMemory {
  readonly memory: WebAssembly.Memory;
  readonly maxBytes: number;
  readonly #buffers = new WeakSet<ArrayBufferLike>();
  readonly #addresses = new WeakMap<Vec, number>();
  #last: ArrayBufferLike | undefined;
  #heap = new Heap(0);
  /** Everything above it was never handed out and is still zero. */
  #touched = 0;
  #f32: Float32Array;
  #f64: Float64Array;
  #u32: Uint32Array;

  /** A memory that may grow up to `maxBytes`, rounded down to pages of 64 KiB. */
  constructor(maxBytes: number) {
    const { memory, maximum } = reserveMemory(Math.floor(maxBytes / PAGE_BYTES));
    this.memory = memory;
    this.maxBytes = maximum * PAGE_BYTES;
    const { buffer } = this.memory;
    this.#buffers.add(buffer);
    this.#f32 = new Float32Array(buffer);
    this.#f64 = new Float64Array(buffer);
    this.#u32 = new Uint32Array(buffer);
  }

  /** The whole memory as f32; do not keep it, growth makes it too short. */
  get f32(): Float32Array {
    return this.#f32;
  }

  /** The whole memory as f64. */
  get f64(): Float64Array {
    return this.#f64;
  }

  /** The whole memory as u32. */
  get u32(): Uint32Array {
    return this.#u32;
  }

  /** Bytes of vectors and working memory handed out by the heap. */
  get usedBytes(): number {
    return this.#heap.usedBytes;
  }

  /** Lets the heap begin at `start`, once what lies below is laid out. */
  startHeap(start: number): void {
    if (start > this.maxBytes) {
      throw badOption("maxMemoryBytes", this.maxBytes, `at least ${Math.ceil(start / PAGE_BYTES) * PAGE_BYTES}`);
    }
    this.#growTo(start);
    this.#heap = new Heap(start);
    this.#touched = start;
    this.#heap.extend(this.memory.buffer.byteLength);
  }

  /** The address of a view's first byte, or undefined when it lies outside this memory. */
  addressOf(view: ArrayBufferView): number | undefined {
    return this.#buffers.has(view.buffer) ? view.byteOffset : undefined;
  }

  /** A zero-filled vector in this memory, or an ordinary one when there is no room. */
  alloc(length: number, dtype: Dtype): Vec {
    if (!Number.isInteger(length) || length < 0)
      throw new RangeError(`alloc: length must be a whole number >= 0; got ${length}`);
    const size = dtype === "f64" ? 8 : 4;
    const address = this.#allocate(length * size);
    if (address === undefined) return dtype === "f64" ? new Float64Array(length) : new Float32Array(length);
    const vector = heapVector(this.#buffer(), address, length, dtype);
    const end = address + length * size;
    if (address < this.#touched) vector.fill(0, 0, Math.min(length, Math.ceil((this.#touched - address) / size)));
    this.#touched = Math.max(this.#touched, end);
    this.#addresses.set(vector, address);
    collected.register(vector, { heap: this.#heap, address }, vector);
    return vector;
  }

  /** Gives a vector of `alloc` back; others are ignored. */
  free(vector: Vec): void {
    const address = this.#addresses.get(vector);
    if (address === undefined) return;
    this.#addresses.delete(vector);
    collected.unregister(vector);
    this.#heap.free(address);
  }

  /** Working memory of `bytes`, not zeroed, to be given back with `release`. Throws ERR_WASM_MEMORY when it does not fit. */
  reserve(bytes: number): number {
    const address = this.tryReserve(bytes);
    if (address === undefined) throw memoryExhausted(bytes, this.maxBytes);
    return address;
  }

  /** Like `reserve`, but undefined when it does not fit. */
  tryReserve(bytes: number): number | undefined {
    const address = this.#allocate(bytes);
    if (address !== undefined) this.#touched = Math.max(this.#touched, address + bytes);
    return address;
  }

  /** Gives working memory back. */
  release(address: number): void {
    this.#heap.free(address);
  }

  /** The whole memory as the dtype of `vector`. */
  viewLike(vector: Vec): Vec {
    return dtypeOf(vector) === "f64" ? this.#f64 : this.#f32;
  }

  /** The buffer object of the moment, which vectors over it will be known by. */
  #buffer(): ArrayBufferLike {
    const { buffer } = this.memory;
    if (buffer !== this.#last) {
      this.#buffers.add(buffer);
      this.#last = buffer;
    }
    return buffer;
  }

  #allocate(bytes: number): number | undefined {
    const address = this.#heap.allocate(bytes);
    if (address !== undefined) return address;
    const shortage = this.#heap.shortage(bytes);
    const grown =
      this.#growTo(this.#heap.end + Math.max(shortage, GROWTH_BYTES)) || this.#growTo(this.#heap.end + shortage);
    if (!grown) return undefined;
    this.#heap.extend(this.memory.buffer.byteLength);
    return this.#heap.allocate(bytes);
  }

  #growTo(bytes: number): boolean {
    const pages = Math.ceil(bytes / PAGE_BYTES) - this.memory.buffer.byteLength / PAGE_BYTES;
    if (pages <= 0) return true;
    try {
      this.memory.grow(pages);
    } catch {
      return false; // Beyond the maximum, or the system has no more.
    }
    const { buffer } = this.memory;
    this.#buffers.add(buffer);
    this.#f32 = new Float32Array(buffer);
    this.#f64 = new Float64Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    return true;
  }
}

// A shared memory reserves its maximum as address space. Small devices do not have 4 GiB of it: take what there is.
function reserveMemory(maximum: number): { memory: WebAssembly.Memory; maximum: number } {
  try {
    return { memory: new WebAssembly.Memory({ initial: 1, maximum, shared: true }), maximum };
  } catch (error) {
    if (!(error instanceof RangeError) || maximum < 512) throw error;
    return reserveMemory(Math.floor(maximum / 2));
  }
}
