/**
 * Vectors that live in the WebAssembly memory and keep their place while they, or any view of them, are reachable.
 *
 * The memory is freed when the vector is garbage-collected. An ordinary `subarray` keeps the buffer alive but not the vector
 * it came from, so that a view could outlive its memory; here each view holds on to its parent.
 */
import type { Dtype, Vec } from "@secateur/core";

const parents = new WeakMap<Vec, Vec>();

class HeapFloat32Array extends Float32Array {
  override subarray(begin?: number, end?: number): Float32Array<ArrayBuffer> {
    const { offset, length } = viewRange(this, begin, end);
    return childOf(this, new HeapFloat32Array(this.buffer, offset, length));
  }
}

class HeapFloat64Array extends Float64Array {
  override subarray(begin?: number, end?: number): Float64Array<ArrayBuffer> {
    const { offset, length } = viewRange(this, begin, end);
    return childOf(this, new HeapFloat64Array(this.buffer, offset, length));
  }
}

// Copies (slice, map, filter) are made by `constructor`: ordinary arrays. It also keeps deep comparisons with those true.
Object.defineProperty(HeapFloat32Array.prototype, "constructor", { value: Float32Array });
Object.defineProperty(HeapFloat64Array.prototype, "constructor", { value: Float64Array });

/** A vector over `length` entries of `buffer` at a byte offset. */
export function heapVector(buffer: ArrayBufferLike, byteOffset: number, length: number, dtype: Dtype): Vec {
  return dtype === "f64"
    ? new HeapFloat64Array(buffer as ArrayBuffer, byteOffset, length)
    : new HeapFloat32Array(buffer as ArrayBuffer, byteOffset, length);
}

function childOf<V extends Vec>(parent: Vec, view: V): V {
  parents.set(view, parent);
  return view;
}

// The clamping of TypedArray.prototype.subarray: negative positions count from the end.
function viewRange(vector: Vec, begin = 0, end: number = vector.length): { offset: number; length: number } {
  const from = clampIndex(begin, vector.length);
  const length = Math.max(0, clampIndex(end, vector.length) - from);
  return { offset: vector.byteOffset + from * vector.BYTES_PER_ELEMENT, length };
}

function clampIndex(position: number, length: number): number {
  const index = Math.trunc(position) || 0;
  return index < 0 ? Math.max(0, length + index) : Math.min(index, length);
}
