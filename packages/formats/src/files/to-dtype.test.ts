import { describe, expect, test } from "vitest";
import { halfToNumber, toFloat64 } from "./convert.ts";
import { asTensorLike, toHalf } from "./to-dtype.ts";

describe("half precision", () => {
  test("comes back as the bits it was, all 65,536 of them but NaN", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = halfToNumber(bits);
      if (!Number.isNaN(value) && toHalf(value) !== bits) expect(toHalf(value)).toBe(bits);
    }
  });

  test("rounds to the nearest, ties to even", () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const [low, high] = [halfToNumber(bits), halfToNumber(bits + 1)];
      const even = bits % 2 === 0 ? bits : bits + 1;
      if (toHalf((low + high) / 2) !== even) expect(toHalf((low + high) / 2)).toBe(even);
      if (toHalf(low + 0.4 * (high - low)) !== bits) expect(toHalf(low + 0.4 * (high - low))).toBe(bits);
    }
    expect(toHalf(65519)).toBe(0x7bff);
    expect(toHalf(65520)).toBe(0x7c00);
  });
});

describe("numbers like a tensor", () => {
  test("keep the bits of what did not change, signed zeros too", () => {
    for (const dtype of ["f16", "bf16"] as const) {
      const like = { dtype, shape: [4], data: Uint16Array.of(0x8000, 0x3c01, 0x4000, 0x1234) };
      const data = toFloat64(like);
      data[2] = 0;
      expect([...(asTensorLike(like, data).data as Uint16Array)]).toEqual([0x8000, 0x3c01, 0, 0x1234]);
    }
  });

  test("are refused for whole-number types and other sizes", () => {
    expect(() => asTensorLike({ dtype: "i8", shape: [1], data: Int8Array.of(1) }, Float32Array.of(1))).toThrow(/i8/);
    expect(() => asTensorLike({ dtype: "f32", shape: [1], data: Float32Array.of(1) }, new Float32Array(2))).toThrow(
      /2 numbers/,
    );
  });
});
