import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Heap } from "./heap.ts";

describe("Heap", () => {
  it("hands out aligned ranges that never overlap, and merges all of them again, in any order of calls", () => {
    const steps = fc.array(
      fc.record({ bytes: fc.integer({ min: 0, max: 3000 }), free: fc.nat(), frees: fc.boolean() }),
      {
        maxLength: 80,
      },
    );
    fc.assert(
      fc.property(steps, (calls) => {
        const heap = new Heap(100);
        heap.extend(20_000);
        const held: { start: number; bytes: number }[] = [];
        for (const { bytes, free, frees } of calls) {
          if (frees && held.length > 0) {
            const [gone] = held.splice(free % held.length, 1);
            heap.free(gone?.start as number);
            continue;
          }
          const start = heap.allocate(bytes);
          if (start === undefined) continue;
          expect(start % 64).toBe(0);
          expect(start).toBeGreaterThanOrEqual(100);
          expect(start + bytes).toBeLessThanOrEqual(20_000);
          for (const other of held) {
            expect(start + Math.max(1, bytes) <= other.start || other.start + Math.max(1, other.bytes) <= start).toBe(
              true,
            );
          }
          held.push({ start, bytes });
        }
        for (const { start } of held) heap.free(start);
        expect(heap.usedBytes).toBe(0);
        // 128 is the first cache line at or above 100, 19968 the last border below 20000: one piece again.
        expect(heap.allocate(19_968 - 128)).toBe(128);
      }),
      { seed: 5, numRuns: 200 },
    );
  });

  it("grows at its end and counts a free range there towards the next allocation", () => {
    const heap = new Heap(0);
    expect(heap.allocate(1)).toBeUndefined();
    heap.extend(128);
    expect(heap.shortage(192)).toBe(64);
    heap.extend(192);
    expect(heap.allocate(192)).toBe(0);
    expect(heap.shortage(64)).toBe(64);
  });

  it("ignores an address that was given back before", () => {
    const heap = new Heap(0);
    heap.extend(256);
    const start = heap.allocate(64) as number;
    heap.free(start);
    heap.free(start);
    expect(heap.usedBytes).toBe(0);
    expect([heap.allocate(128), heap.allocate(128), heap.allocate(64)]).toEqual([0, 128, undefined]);
  });
});
