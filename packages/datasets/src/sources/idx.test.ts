import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { counting, errorOf, idxFile } from "../testing.test-support.ts";
import { decodeIdx } from "./idx.ts";

const images = { rank: 3, source: "images" };

describe("an idx file", () => {
  test("is read as a view with its shape", () => {
    const file = idxFile([2, 2, 3], counting(12, 5));
    const { shape, data } = decodeIdx(file, images);
    expect(shape).toEqual([2, 2, 3]);
    expect(data).toEqual(counting(12, 5));
    expect(data.buffer).toBe(file.buffer);
  });

  test("cut short or longer by one byte is refused at every length", async () => {
    const file = idxFile([2, 2, 3], counting(12));
    for (let length = 0; length < file.length; length++) {
      expect((await errorOf(() => decodeIdx(file.subarray(0, length), images))).code).toBe("ERR_IDX");
    }
    expect((await errorOf(() => decodeIdx(Uint8Array.of(...file, 0), images))).message).toMatch(
      /found 13 bytes of data, expected 12 bytes for its shape 2 x 2 x 3 \(there is more/,
    );
  });

  test("with any bit of its header flipped is refused", async () => {
    const file = idxFile([2, 2, 3], counting(12));
    for (let bit = 0; bit < 16 * 8; bit++) {
      const flipped = file.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect((await errorOf(() => decodeIdx(flipped, images))).code).toBe("ERR_IDX");
    }
  });

  test("of any bytes is read or refused, never anything else", () => {
    const header = fc.uint8Array({ maxLength: 32 });
    return fc.assert(
      fc.asyncProperty(header, fc.integer({ min: 1, max: 4 }), fc.boolean(), async (bytes, rank, hasMagic) => {
        if (hasMagic) bytes.set([0, 0, 8, rank].slice(0, bytes.length));
        try {
          const { shape, data } = decodeIdx(bytes, { rank, source: "x" });
          expect(shape.reduce((product, extent) => product * extent, 1)).toBe(data.length);
        } catch {
          expect((await errorOf(() => decodeIdx(bytes, { rank, source: "x" }))).code).toBe("ERR_IDX");
        }
      }),
    );
  });

  const hostile: readonly (readonly [what: string, bytes: Uint8Array, message: RegExp])[] = [
    ["empty", new Uint8Array(0), /an empty file/],
    [
      "of labels where images are expected",
      idxFile([4], counting(4)),
      /0x00000801 \(bytes in 1 dimension\).*0x00000803 \(bytes in 3 dimensions\)/,
    ],
    ["of floats", Uint8Array.of(0, 0, 0x0d, 3, ...counting(12)), /elements of type 0xd/],
    ["of something else", new TextEncoder().encode("<html>........................."), /0x3c68746d/],
    ["of images without pixels", idxFile([2, 0, 3], counting(0)), /images of 0 x 3/],
    [
      "whose shape overflows",
      idxFile([0xffffffff, 0xffffffff, 0xffffffff], counting(8)),
      /found 8 bytes of data.*truncated/,
    ],
  ];
  for (const [what, bytes, message] of hostile) {
    test(`${what} is refused and says so`, async () => {
      const error = await errorOf(() => decodeIdx(bytes, images));
      expect(error).toMatchObject({ code: "ERR_IDX", fault: "input" });
      expect(error.message).toMatch(message);
    });
  }
});
