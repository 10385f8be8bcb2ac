import { createRng } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { compressedSizes, sampledSizes } from "./compressed-sizes.ts";

/** Weights as a pruned file has them: normal numbers, nine of ten zero, in a file of `count` numbers. */
function pruned(count: number): Uint8Array {
  const rng = createRng(1);
  const values = Float32Array.from({ length: count }, () => (rng.next() < 0.9 ? 0 : 0.1 * rng.normal()));
  return new Uint8Array(values.buffer);
}

const { signal } = new AbortController();

describe("sizes after compression", () => {
  test("of a large file are estimated from pieces, close to those of the whole", async () => {
    const bytes = pruned(1_200_000);
    const [whole, sampled] = [await compressedSizes(bytes, signal), await sampledSizes(bytes, signal)];
    expect(sampled.sampledBytes).toBe(2 * 2 ** 20);
    // 2 MB of 4.8: numbers drawn alike differ between pieces by their noise, and every piece starts without a history.
    expect(sampled.gzipBytes / whole.gzipBytes).toBeCloseTo(1, 1);
    expect(sampled.brotliBytes / whole.brotliBytes).toBeCloseTo(1, 1);
  });

  test("of a small file are exact", async () => {
    const bytes = pruned(1000);
    expect(await sampledSizes(bytes, signal)).toEqual(await compressedSizes(bytes, signal));
  });

  test("are not waited for after an abort", async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(sampledSizes(pruned(10), controller.signal)).rejects.toThrow("interrupted");
  });
});
