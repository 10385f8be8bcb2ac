import { expect, test } from "vitest";
import { groupedPattern } from "./grouped-pattern.ts";

test("entries go by blocks of 128 rows, there by column, there by row, and a pattern is sorted once", () => {
  const pattern = { rows: 130, cols: 3, starts: new Uint32Array(131), columns: Uint32Array.of(2, 0, 2, 1) };
  // Row 0 has columns 2; row 1 columns 0 and 2; row 129 column 1.
  pattern.starts.fill(1, 1).fill(3, 2).fill(4, 130);
  const grouped = groupedPattern(pattern);
  expect([...grouped.lines]).toEqual([1, 0, 1, 129]);
  expect([...grouped.places]).toEqual([1, 0, 2, 3]);
  expect([...grouped.starts]).toEqual([0, 1, 1, 3, 3, 4, 4]);
  expect(groupedPattern(pattern)).toBe(grouped);
  expect(groupedPattern({ ...pattern })).toEqual(grouped);
});
