import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BlockSize, blockRanges } from "./block-ranges.ts";

const layers = [
  { start: 0, size: 10 },
  { start: 10, size: 3 },
];
const ranges = (blockSize: BlockSize, leftOver: "own block" | "last block"): readonly (readonly number[])[] =>
  blockRanges({ size: 13, layers, blockSize, leftOver, who: "test" }).map(({ start, end }) => [start, end]);

describe("blocks of weights", () => {
  test("leave what is left over to a block of its own, or to the last one", () => {
    const { shorter, longer } = { shorter: ranges(4, "own block"), longer: ranges(4, "last block") };
    expect(shorter).toEqual([
      [0, 4],
      [4, 8],
      [8, 10],
      [10, 13],
    ]);
    expect(longer).toEqual([
      [0, 5],
      [5, 10],
      [10, 13],
    ]);
  });

  test("are layers, or the whole network, by name", () => {
    expect(ranges("layer", "own block")).toEqual([
      [0, 10],
      [10, 13],
    ]);
    expect(ranges("network", "last block")).toEqual([[0, 13]]);
  });

  test("cover every weight once, in order, and never cross a layer", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 });
    const rule = fc.constantFrom("own block" as const, "last block" as const);
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 50 }), rule, (parts, blockSize, leftOver) => {
        let size = 0;
        const cut = parts.map((part) => {
          size += part;
          return { start: size - part, size: part };
        });
        const blocks = blockRanges({ size, layers: cut, blockSize, leftOver, who: "test" });
        let place = 0;
        for (const { start, end } of blocks) {
          expect(start).toBe(place);
          expect(end).toBeGreaterThan(start);
          const layer = cut.find((one) => start < one.start + one.size)!;
          expect(end).toBeLessThanOrEqual(layer.start + layer.size);
          // The published codes: no block is longer than asked for, or shorter unless the layer is.
          if (leftOver === "own block") expect(end - start).toBeLessThanOrEqual(blockSize);
          else expect(end - start).toBeGreaterThanOrEqual(Math.min(blockSize, layer.size));
          place = end;
        }
        expect(place).toBe(size);
      }),
    );
  });

  test.each([0, -1, 1.5, Number.NaN])("of %j weights are refused", (blockSize) => {
    expect(() => ranges(blockSize, "own block")).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
  });
});
