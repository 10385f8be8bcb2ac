import { inputRows, labelsOf } from "@secateur/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseNormalize, resolveNormalisation } from "./normalisation.ts";
import { classTargets, rawDataset } from "./sources/raw-dataset.ts";
import { errorOf } from "./testing.test-support.ts";

const pixels = { divisor: 255, mean: [0.1307], std: [0.3081] };

describe("normalising", () => {
  test("maps every byte to (x / 255 - mean) / std with each step rounded to f32, as PyTorch's transforms do", async () => {
    const values = Uint8Array.from({ length: 256 }, (_, i) => i);
    const dataset = rawDataset({
      name: "bytes",
      values,
      inputShape: [1, 16, 16],
      size: Uint8Array.of(0).length,
      targets: classTargets(Uint8Array.of(0), 1),
      normalisation: pixels,
    });
    const inputs = inputRows(await dataset.batch(Uint32Array.of(0)));
    const f = Math.fround;
    expect(inputs.data).toEqual(Float32Array.from(values, (x) => f(f(f(x / 255) - f(0.1307)) / f(0.3081))));
    // Three roundings of half an ulp each leave a relative error of a few 2^-24 of the largest term.
    for (let x = 0; x < 256; x++)
      expect(Math.abs(inputs.data[x]! - (x / 255 - 0.1307) / 0.3081)).toBeLessThan(4 * 2 ** -22);
    expect(inputs.data[0]).toBeCloseTo(-0.4242, 4);
    expect(inputs.data[255]).toBeCloseTo(2.8215, 4);
  });

  test("treats bytes and floats of the same values alike, with one mean or one a channel", async () => {
    const channel = fc.record({ mean: fc.float({ min: -2, max: 2 }), std: fc.float({ min: 0.125, max: 4 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 24, maxLength: 24 }),
        fc.oneof(fc.tuple(channel), fc.tuple(channel, channel, channel)),
        fc.constantFrom(1, 255),
        async (values, channels, divisor) => {
          const normalisation = {
            divisor,
            mean: channels.map(({ mean }) => mean),
            std: channels.map(({ std }) => std),
          };
          const common = {
            name: "x",
            inputShape: [3, 2, 2],
            size: Uint8Array.of(0, 1).length,
            targets: classTargets(Uint8Array.of(0, 1), 2),
            normalisation,
          };
          const indices = Uint32Array.of(1, 0);
          const bytes = await rawDataset({ ...common, values }).batch(indices);
          const floats = await rawDataset({ ...common, values: new Float32Array(values) }).batch(indices);
          expect(bytes).toEqual(floats);
          const f = Math.fround;
          for (let i = 0; i < 12; i++) {
            const { mean, std } = channels[channels.length === 1 ? 0 : Math.floor(i / 4)]!;
            expect(inputRows(bytes).data[i]).toBe(f(f(f(values[12 + i]! / divisor) - f(mean)) / f(std)));
          }
        },
      ),
    );
  });

  test("without a normalisation leaves floats as they are", async () => {
    const dataset = rawDataset({
      name: "floats",
      values: Float32Array.of(1, 2, -0, 4),
      inputShape: [2],
      size: Uint32Array.of(5, 6).length,
      targets: classTargets(Uint32Array.of(5, 6), 7),
      normalisation: { divisor: 1, mean: [0], std: [1] },
    });
    const batch = await dataset.batch(Uint32Array.of(1, 0, 1));
    expect(inputRows(batch)).toEqual({ rows: 3, cols: 2, data: Float32Array.of(-0, 4, 1, 2, -0, 4) });
    expect(labelsOf(batch)).toEqual(Uint32Array.of(6, 5, 6));
  });

  test("refuses an index that no example has", () => {
    const dataset = rawDataset({
      name: "two",
      values: Float32Array.of(1, 2),
      inputShape: [1],
      size: Uint32Array.of(0, 0).length,
      targets: classTargets(Uint32Array.of(0, 0), 1),
      normalisation: { divisor: 1, mean: [0], std: [1] },
    });
    expect(() => dataset.batch(Uint32Array.of(0, 2))).toThrow("two has 2 examples and no example 2");
  });
});

describe("a given normalisation", () => {
  const resolve = (mean: number[], std: number[], inputShape: number[]) =>
    resolveNormalisation({ declared: pixels, normalize: { mean, std }, inputShape });

  test("replaces mean and std and leaves the divisor", () => {
    expect(resolve([0.5], [0.25], [1, 28, 28])).toEqual({ divisor: 255, mean: [0.5], std: [0.25] });
    expect(resolve([1, 2, 3], [4, 5, 6], [3, 2, 2])).toEqual({ divisor: 255, mean: [1, 2, 3], std: [4, 5, 6] });
    expect(resolve([1, 2], [3, 4], [2])).toEqual({ divisor: 255, mean: [1, 2], std: [3, 4] });
    expect(resolveNormalisation({ declared: pixels, normalize: undefined, inputShape: [1, 1, 1] })).toBe(pixels);
  });

  test("is refused when it has neither one number nor one a channel, or numbers that make no sense", async () => {
    const bad: readonly (readonly [mean: number[], std: number[], shape: number[], message: RegExp])[] = [
      [[1, 2], [1, 2], [3, 2, 2], /found 2 mean\(s\) and 2 std\(s\), expected one of each, or 3 of each/],
      [[1], [1, 2], [2], /1 mean\(s\) and 2 std\(s\)/],
      [[], [], [2], /0 mean\(s\)/],
      [[1, 2], [1, 2], [4, 4], /expected one of each for examples of shape \[4, 4\]/],
      [[0], [0], [2], /every std above 0/],
      [[0], [1e-60], [2], /every std above 0/],
      [[0], [-1], [2], /every std above 0/],
      [[Number.NaN], [1], [2], /finite numbers/],
      [[0], [Number.POSITIVE_INFINITY], [2], /finite numbers/],
    ];
    for (const [mean, std, shape, message] of bad) {
      const error = await errorOf(() => resolve(mean, std, shape));
      expect(error.code).toBe("ERR_NORMALIZE");
      expect(error.message).toMatch(message);
    }
  });

  test("is read from text: mean,std or all means and then all stds", async () => {
    expect(parseNormalize("0.1307,0.3081")).toEqual({ mean: [0.1307], std: [0.3081] });
    expect(parseNormalize(".4914, .4822, .4465, .2023, .1994, .2010")).toEqual({
      mean: [0.4914, 0.4822, 0.4465],
      std: [0.2023, 0.1994, 0.201],
    });
    for (const text of ["", "1", "1,", "1,2,3", "a,b", "1;2", "NaN,1", "Infinity,1"]) {
      expect((await errorOf(() => parseNormalize(text))).code).toBe("ERR_NORMALIZE");
    }
  });
});
