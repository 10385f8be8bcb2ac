import { describe, expect, test } from "vitest";
import { toFloat64 } from "./convert.ts";
import { asTensorLike } from "./to-dtype.ts";

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
