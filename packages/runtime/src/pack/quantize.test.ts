import { describe, expect, test } from "vitest";
import { randomNumbers } from "../session.test-support.ts";
import { storedValues } from "./quantize.ts";

const [rows, length] = [7, 400] as const;
const random = randomNumbers(11);
/** Sums, of which few are large, as trained weights are. */
const data = Float32Array.from({ length: rows * length }, () => random() + random() + random() + random());

/** What the stream holds. */
function decoded(values: "int8" | "int6" | "int5" | "int4"): { scales: Float32Array; numbers: Int8Array } {
  const bytes = storedValues({ dims: [rows, length], data }, values, undefined);
  const whole = bytes.slice(4 * rows);
  const halves = Int8Array.from(data, (_, i) => (whole[i >> 1]! << (i & 1 ? 24 : 28)) >> 28);
  return {
    scales: new Float32Array(bytes.slice(0, 4 * rows).buffer),
    numbers: values === "int4" ? halves : new Int8Array(whole.buffer),
  };
}

function squaredError(row: number, scale: number, numberOf: (i: number) => number): number {
  let sum = 0;
  for (let i = row * length; i < (row + 1) * length; i++) sum += (data[i]! - scale * numberOf(i)) ** 2;
  return sum;
}

describe.each([
  ["int6", 31],
  ["int5", 15],
  ["int4", 7],
] as const)("values as %s", (values, most) => {
  test("are as near to an output's weights as by the scale that reaches the largest; of few bits mostly nearer", () => {
    const { scales, numbers } = decoded(values);
    let nearer = 0;
    for (let row = 0; row < rows; row++) {
      const whole = Math.max(...data.subarray(row * length, (row + 1) * length).map(Math.abs)) / most;
      const plain = squaredError(row, whole, (i) => Math.round(data[i]! / whole));
      const found = squaredError(row, scales[row]!, (i) => numbers[i]!);
      // The scale is stored as f32.
      expect(found).toBeLessThanOrEqual(plain * (1 + 1e-6));
      nearer += Number(found < 0.999 * plain);
    }
    if (values === "int4") expect(nearer).toBeGreaterThan(rows / 2);
    expect(Math.max(...numbers.map(Math.abs))).toBeLessThanOrEqual(most);
  });
});

test("values of eight bits reach the largest weight of every output", () => {
  const { scales } = decoded("int8");
  scales.forEach((scale, row) => {
    const largest = Math.max(...data.subarray(row * length, (row + 1) * length).map(Math.abs));
    expect(scale).toBe(Math.fround(largest / 127));
  });
});
