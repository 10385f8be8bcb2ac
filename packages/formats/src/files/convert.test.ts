import { expect, test } from "vitest";
import type { Tensor } from "../tensor.ts";
import { halfToNumber, numberToHalf, tensorOf, toFloat32, toFloat64, toVec } from "./convert.ts";

test("half precision converts as IEEE 754 says: normal, subnormal, signed zero, infinite, NaN", () => {
  const cases: readonly (readonly [bits: number, value: number])[] = [
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x0400, 2 ** -14],
    [0x03ff, 1023 * 2 ** -24],
    [0x0001, 2 ** -24],
    [0x0000, 0],
    [0x8000, -0],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0xfc00, Number.NEGATIVE_INFINITY],
    [0x7e01, Number.NaN],
  ];
  for (const [bits, value] of cases) expect(halfToNumber(bits)).toBe(value);
});

test("every half is the mirror of its negative and grows with its bits", () => {
  const positive = Array.from({ length: 0x7c01 }, (_, bits) => halfToNumber(bits));
  const negative = Array.from({ length: 0x7c01 }, (_, bits) => halfToNumber(bits | 0x8000));
  expect(negative).toEqual(positive.map((value) => -value));
  expect(positive.every((value, bits) => bits === 0 || value > positive[bits - 1]!)).toBe(true);
});

test("bf16 is the upper half of an f32", () => {
  const values = Float32Array.of(1, -2.5, 2 ** 100, Number.POSITIVE_INFINITY, Number.NaN, -0);
  const bits = Uint16Array.from(new Uint32Array(values.buffer), (word) => word >>> 16);
  const tensor: Tensor = { dtype: "bf16", shape: [6], data: bits };
  expect(toFloat32(tensor)).toEqual(values);
  expect(toFloat64(tensor)).toEqual(Float64Array.from(values));
});

test("every half comes back from its number, and a number between two goes to the nearer, at the middle to the even one", () => {
  for (let bits = 0; bits < 0x7c00; bits++) {
    const [low, high] = [halfToNumber(bits), bits + 1 === 0x7c00 ? 65_536 : halfToNumber(bits + 1)];
    expect(numberToHalf(low)).toBe(bits);
    expect(numberToHalf(-low)).toBe(bits | 0x8000);
    // Sums and quarters of halves are exact in f64, so the tie is one.
    expect(numberToHalf((low + high) / 2)).toBe(bits + (bits % 2));
    expect(numberToHalf(0.75 * low + 0.25 * high)).toBe(bits);
    expect(numberToHalf(0.25 * low + 0.75 * high)).toBe(bits + 1);
  }
  expect(numberToHalf(Number.POSITIVE_INFINITY)).toBe(0x7c00);
  expect(numberToHalf(Number.NaN)).toBe(0x7e00);
});

test("bf16 rounds to the nearer of two neighbours, at the middle to the even one, and keeps zeros and infinities", () => {
  const values = [1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, 0, -0, Number.POSITIVE_INFINITY, Number.NaN];
  const rounded = toFloat32(tensorOf(Float32Array.from(values), { shape: [8], dtype: "bf16" }));
  expect([...rounded]).toEqual([1, 1, 1 + 2 ** -6, 1 + 2 ** -7, 0, -0, Number.POSITIVE_INFINITY, Number.NaN]);
});

test("f32 and f64 are handed out and not copied", () => {
  const single: Tensor<"f32"> = { dtype: "f32", shape: [1], data: Float32Array.of(0.1) };
  const double: Tensor<"f64"> = { dtype: "f64", shape: [1], data: Float64Array.of(0.1) };
  expect(toFloat32(single)).toBe(single.data);
  expect(toVec(single)).toBe(single.data);
  expect(toFloat64(double)).toBe(double.data);
  expect(toVec(double)).toBe(double.data);
  expect(toFloat32(double)).toEqual(single.data);
  expect(toFloat64(single)).toEqual(Float64Array.of(Math.fround(0.1)));
});

test("toVec loses nothing: 32-bit integers become f64, narrower ones f32", () => {
  const wide = toVec({ dtype: "i32", shape: [1], data: Int32Array.of(2 ** 31 - 1) });
  expect(wide).toEqual(Float64Array.of(2 ** 31 - 1));
  expect(toVec({ dtype: "u8", shape: [2], data: Uint8Array.of(0, 255) })).toEqual(Float32Array.of(0, 255));
  expect(toVec({ dtype: "i64", shape: [2], data: BigInt64Array.of(-3n, 2n ** 53n) })).toEqual(
    Float64Array.of(-3, 2 ** 53),
  );
  expect(toFloat32({ dtype: "u64", shape: [1], data: BigUint64Array.of(7n) })).toEqual(Float32Array.of(7));
  expect(toVec({ dtype: "f16", shape: [1], data: Uint16Array.of(0x3c00) })).toEqual(Float32Array.of(1));
  expect(toFloat64({ dtype: "f16", shape: [1], data: Uint16Array.of(0x0001) })).toEqual(Float64Array.of(2 ** -24));
});
