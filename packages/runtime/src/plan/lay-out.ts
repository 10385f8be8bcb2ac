/** Where everything lies: regions that are never in use at once share memory, if their zeros stand in the same places. */
import { bytesOf, poolKey, type Region } from "./region.ts";

/** Bytes that memory is aligned to: a cache line. */
const line = 64;

export function aligned(bytes: number): number {
  return Math.ceil(bytes / line) * line;
}

interface Slot {
  bytes: number;
  /** Last step that uses it so far. */
  last: number;
  readonly regions: Region[];
}

/** Gives every region its address, from `start` on. @returns the end */
export function placeRegions(regions: Iterable<Region>, start: number): number {
  const pools = new Map<string, Slot[]>();
  const ordered = [...regions].sort((a, b) => a.first - b.first);
  for (const region of ordered) {
    const key = region.isPrivate ? `private ${pools.size}` : poolKey(region);
    const slots = pools.get(key) ?? [];
    pools.set(key, slots);
    const bytes = bytesOf(region);
    const free = slots.filter((slot) => slot.last < region.first);
    // The smallest that is large enough, else the largest, which then grows.
    free.sort(
      (a, b) =>
        Number(a.bytes < bytes) - Number(b.bytes < bytes) || (a.bytes < bytes ? b.bytes - a.bytes : a.bytes - b.bytes),
    );
    const slot = free[0];
    if (!slot) {
      slots.push({ bytes, last: region.last, regions: [region] });
      continue;
    }
    slot.bytes = Math.max(slot.bytes, bytes);
    slot.last = region.last;
    slot.regions.push(region);
  }
  let at = start;
  for (const slots of pools.values()) {
    for (const slot of slots) {
      for (const region of slot.regions) region.address = at;
      at = aligned(at + slot.bytes);
    }
  }
  return at;
}
