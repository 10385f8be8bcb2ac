import { type Mat, matrix } from "@secateur/core";
import { expect, test } from "vitest";
import { spreadRows } from "./spread-rows.ts";

/** Rows whose numbers are their places, in chunks of such lengths. */
async function* counted(lengths: readonly number[]): AsyncGenerator<Mat> {
  let from = 0;
  for (const length of lengths) {
    yield matrix(
      length,
      2,
      Float32Array.from({ length: 2 * length }, (_, i) => from + Math.floor(i / 2)),
    );
    from += length;
  }
}

async function placesOf(chunks: AsyncIterable<Mat>): Promise<number[]> {
  const places: number[] = [];
  for await (const { rows, data } of chunks) for (let r = 0; r < rows; r++) places.push(data[2 * r]!);
  return places;
}

test("as many rows as asked for come, in order, each from its own stretch of the stream, whatever the chunks", async () => {
  const [of, most] = [20_000, 4_500];
  const places = await placesOf(spreadRows(counted([3, 0, 9_997, 10_000]), { of, most }));
  expect(places).toHaveLength(most);
  places.forEach((place, m) => {
    // Its stretch and the next one, since the fraction is below 1.
    expect(place).toBeGreaterThanOrEqual(Math.floor((m * of) / most));
    expect(place).toBeLessThan(((m + 1) * of) / most);
    if (m > 0) expect(place).toBeGreaterThan(places[m - 1]!);
  });
  expect(await placesOf(spreadRows(counted(Array(200).fill(100)), { of, most }))).toEqual(places);
});

test("positions of a grid are all seen, where every tenth row would be the same eight columns of it", async () => {
  const width = 80;
  const places = await placesOf(spreadRows(counted([width * 100]), { of: width * 100, most: 800 }));
  expect(new Set(places.map((place) => place % width)).size).toBe(width);
});
