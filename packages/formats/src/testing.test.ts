import { expect, test } from "vitest";
import { codeThrownBy, largestAllocation } from "./testing.test-support.ts";

test("the allocation watch sees arrays made from a length or a copy, not views", () => {
  const buffer = new ArrayBuffer(4096);
  expect(largestAllocation(() => new Float32Array(100))).toBe(400);
  expect(largestAllocation(() => new Uint8Array(new Uint8Array(buffer)))).toBe(4096);
  expect(largestAllocation(() => new Uint8Array(buffer, 1, 3))).toBe(0);
});

test("the error watch passes on errors of other kinds", () => {
  const notOurs = (): never => {
    throw new RangeError("Invalid array length");
  };
  expect(() => codeThrownBy(notOurs)).toThrow("something else");
  expect(() => codeThrownBy(() => 1)).toThrow("threw nothing");
});
