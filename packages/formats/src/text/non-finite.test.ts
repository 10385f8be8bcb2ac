import { expect, test } from "vitest";
import type { NamedTensor } from "../tensor.ts";
import { codeThrownBy } from "../testing.test-support.ts";
import { assertFiniteTensors, findNonFinite } from "./non-finite.ts";

test("the first number that is not finite is named by tensor, value and place, with how many there are", () => {
  const tensors: NamedTensor[] = [
    { name: "fc1.weight", dtype: "f32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
    {
      name: "fc2.weight",
      dtype: "f64",
      shape: [2, 3],
      data: Float64Array.of(1, 2, 3, 4, Number.NEGATIVE_INFINITY, Number.NaN),
    },
  ];
  expect(codeThrownBy(() => assertFiniteTensors(tensors, "net.safetensors"))).toBe("ERR_NOT_FINITE");
  expect(() => assertFiniteTensors(tensors, "net.safetensors")).toThrow(
    "net.safetensors: tensor 'fc2.weight': 2 of its 6 numbers are NaN or infinite, the first is -Infinity at flat index 4 (position [1, 1])",
  );
});

test("the largest finite numbers of each float dtype pass, and infinity and NaN just above them do not", () => {
  const cases: readonly (readonly [finite: NamedTensor, not: NamedTensor, value: number])[] = [
    [
      { name: "a", dtype: "f32", shape: [2], data: Float32Array.of(3.4028234663852886e38, -1e-45) },
      { name: "a", dtype: "f32", shape: [2], data: Float32Array.of(0, Number.NaN) },
      Number.NaN,
    ],
    [
      { name: "a", dtype: "f64", shape: [2], data: Float64Array.of(Number.MAX_VALUE, -Number.MAX_VALUE) },
      { name: "a", dtype: "f64", shape: [2], data: Float64Array.of(0, Number.POSITIVE_INFINITY) },
      Number.POSITIVE_INFINITY,
    ],
    [
      { name: "a", dtype: "f16", shape: [2], data: Uint16Array.of(0x7bff, 0xfbff) },
      { name: "a", dtype: "f16", shape: [2], data: Uint16Array.of(0, 0xfc00) },
      Number.NEGATIVE_INFINITY,
    ],
    [
      { name: "a", dtype: "bf16", shape: [2], data: Uint16Array.of(0x7f7f, 0xff7f) },
      { name: "a", dtype: "bf16", shape: [2], data: Uint16Array.of(0, 0x7fc0) },
      Number.NaN,
    ],
    [
      { name: "a", dtype: "bf16", shape: [2], data: Uint16Array.of(0x0001, 0x8000) },
      { name: "a", dtype: "bf16", shape: [2], data: Uint16Array.of(0, 0xff80) },
      Number.NEGATIVE_INFINITY,
    ],
  ];
  for (const [finite, not, value] of cases) {
    expect(findNonFinite(finite)).toBeUndefined();
    expect(findNonFinite(not)).toEqual({ count: 1, index: 1, value });
  }
});

test("integers are always finite, whatever their bits", () => {
  expect(findNonFinite({ dtype: "u16", shape: [1], data: Uint16Array.of(0xffff) })).toBeUndefined();
});
