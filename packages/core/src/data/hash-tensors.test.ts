import { expect, test } from "vitest";
import { hashTensors } from "./hash-tensors.ts";

test("floats of few digits, whose bits end in zeros, have hashes of their own", () => {
  const seen = new Set<string>();
  const count = 20_000;
  for (let n = 0; n < count; n++) {
    const data = Float32Array.from({ length: 16 }, (_, bit) => (n >> bit) & 1);
    seen.add(hashTensors({ x: { shape: [16], data } }));
  }
  // Of 64 bits, two of 20,000 are equal once in 10^11 times.
  expect(seen.size).toBe(count);
});

test("the same numbers have the same hash, and another order another", () => {
  const of = (...numbers: number[]): string => hashTensors({ x: { shape: [2], data: Float64Array.from(numbers) } });
  expect(of(1, 2)).toBe(of(1, 2));
  expect(of(1, 2)).not.toBe(of(2, 1));
});
