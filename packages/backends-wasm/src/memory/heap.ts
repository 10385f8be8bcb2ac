/**
 * A first-fit allocator over a range of addresses, kept outside the memory it manages: free ranges in address order,
 * merged with their neighbours when given back. Addresses and sizes are multiples of 64 bytes (a cache line).
 */
const ALIGNMENT = 64;

interface Range {
  start: number;
  end: number;
}

/** Rounds up to whole cache lines. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

export class Heap {
  readonly #free: Range[] = [];
  readonly #sizes = new Map<number, number>();
  #end: number;
  #usedBytes = 0;

  /** An empty heap from `start`; `extend` gives it memory. */
  constructor(start: number) {
    this.#end = aligned(start);
  }

  /** Where the heap ends now. */
  get end(): number {
    return this.#end;
  }

  /** Bytes handed out and not given back. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Adds the addresses from the present end up to `end`. */
  extend(end: number): void {
    const start = this.#end;
    this.#end = Math.floor(end / ALIGNMENT) * ALIGNMENT;
    this.#giveBack({ start, end: this.#end });
  }

  /** How many bytes `extend` must add at least before `bytes` fit: the last free range counts when it reaches the end. */
  shortage(bytes: number): number {
    const last = this.#free.at(-1);
    return aligned(bytes) - (last !== undefined && last.end === this.#end ? last.end - last.start : 0);
  }

  /** The address of `bytes` contiguous bytes, or undefined when no free range is large enough. */
  allocate(bytes: number): number | undefined {
    const size = aligned(Math.max(1, bytes));
    const index = this.#free.findIndex((range) => range.end - range.start >= size);
    const range = this.#free[index];
    if (range === undefined) return undefined;
    const start = range.start;
    range.start += size;
    if (range.start === range.end) this.#free.splice(index, 1);
    this.#sizes.set(start, size);
    this.#usedBytes += size;
    return start;
  }

  /** Gives an allocation back; an address that is not one (any more) is ignored. */
  free(start: number): void {
    const size = this.#sizes.get(start);
    if (size === undefined) return;
    this.#sizes.delete(start);
    this.#usedBytes -= size;
    this.#giveBack({ start, end: start + size });
  }

  #giveBack(range: Range): void {
    if (range.start === range.end) return;
    let low = 0;
    let high = this.#free.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#free[middle] as Range).start < range.start) low = middle + 1;
      else high = middle;
    }
    this.#free.splice(low, 0, range);
    this.#mergeWithNext(low);
    if (low > 0) this.#mergeWithNext(low - 1);
  }

  #mergeWithNext(index: number): void {
    const range = this.#free[index];
    const next = this.#free[index + 1];
    if (range === undefined || next === undefined || range.end !== next.start) return;
    range.end = next.end;
    this.#free.splice(index + 1, 1);
  }
}
