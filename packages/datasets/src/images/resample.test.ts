import { expect, test } from "vitest";
import { preparedPixels, resizedSize } from "./prepare-image.ts";
import { type Pixels, resample, resamples } from "./resample.ts";
import { GOLDEN_SIZES } from "./resample-goldens.test-support.ts";

const pixels = (height: number, width: number, channels: number, at: (i: number) => number): Pixels => ({
  ...{ height, width, channels },
  data: Uint8Array.from({ length: height * width * channels }, (_, i) => at(i)),
});
const image = pixels(9, 13, 3, (i) => (7 * i * i) % 256);

test("every filter gives the bytes that PIL gives, smaller, larger, and along one axis alone", () => {
  for (const { how, height, width, data } of GOLDEN_SIZES) {
    const found = resample(image, { height, width }, how);
    expect(Buffer.from(found.data).toString("base64"), `${how} ${height} x ${width}`).toBe(data);
  }
  expect(new Set(GOLDEN_SIZES.map(({ how }) => how))).toEqual(new Set(resamples));
});

test("bilinear is the mean under a triangle as wide as the step, to the rounding of two passes", () => {
  const [H, W] = [4, 5];
  const found = resample(image, { height: H, width: W }, "bilinear");
  /** Weights of output i, written down as the formula has them, without bounds. */
  const weights = (i: number, from: number, to: number): number[] => {
    const step = Math.max(from / to, 1);
    const own = Array.from({ length: from }, (_, j) => {
      return Math.max(0, 1 - Math.abs((j + 0.5 - ((i + 0.5) * from) / to) / step));
    });
    const sum = own.reduce((total, weight) => total + weight, 0);
    return own.map((weight) => weight / sum);
  };
  for (let y = 0; y < H; y++) {
    for (let x = 0; x < W; x++) {
      const [rows, columns] = [weights(y, 9, H), weights(x, 13, W)];
      for (let c = 0; c < 3; c++) {
        let exact = 0;
        rows.forEach((a, i) => {
          columns.forEach((b, j) => {
            exact += a * b * image.data[(i * 13 + j) * 3 + c]!;
          });
        });
        // Half a step for each of the two roundings to bytes.
        expect(Math.abs(found.data[(y * W + x) * 3 + c]! - exact)).toBeLessThanOrEqual(1.01);
      }
    }
  }
});

test("box by a whole factor is the mean of each block, and one colour stays that colour in every filter", () => {
  const small = resample(
    pixels(4, 6, 1, (i) => 10 * i),
    { height: 2, width: 3 },
    "box",
  );
  // 10 i over blocks of 2 x 2 in rows of 6: the means 35, 55, 75 and 155, 175, 195.
  expect([...small.data]).toEqual([35, 55, 75, 155, 175, 195]);
  for (const how of resamples) {
    for (const value of [0, 1, 254, 255]) {
      const { data } = resample(
        pixels(7, 5, 1, () => value),
        { height: 11, width: 3 },
        how,
      );
      expect(
        data.every((found) => found === value),
        `${how} ${value}`,
      ).toBe(true);
    }
  }
});

test("the shorter edge decides the size, rounded down, and the middle is cut out or put on black", () => {
  expect(resizedSize({ height: 375, width: 500 }, { resize: { shortestEdge: 256 } })).toEqual({
    height: 256,
    width: 341,
  });
  expect(resizedSize({ height: 500, width: 375 }, { resize: { shortestEdge: 256 } })).toEqual({
    height: 341,
    width: 256,
  });
  const square = pixels(3, 3, 1, (i) => i + 1);
  expect([...preparedPixels(square, { crop: { height: 1, width: 1 } }).data]).toEqual([5]);
  expect([...preparedPixels(square, { crop: { height: 2, width: 3 } }).data]).toEqual([1, 2, 3, 4, 5, 6]);
  const wide = preparedPixels(square, { crop: { height: 1, width: 6 } });
  expect([...wide.data]).toEqual([0, 0, 4, 5, 6, 0]);
});
