import {
  arrayDataset,
  batchDataset,
  createRunContext,
  type InputChunk,
  type Mat,
  type Model,
  matrix,
  subset,
} from "@secateur/core";
import { createNetwork, type NetworkSpec } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import { activations, type SummedInputs, shareOfInputs } from "./activations.ts";
import { addMoments } from "./input-moments.ts";
import { chunksInShares, momentShare } from "./input-shares.ts";
import { spreadRows } from "./spread-rows.ts";

/** A chunk of so many rows, all of which are `value`. */
const chunk = (rows: number, value: number, first?: number): InputChunk => ({
  ...matrix(rows, 1, new Float64Array(rows).fill(value)),
  ...(first === undefined ? {} : { first }),
});

async function* given<T>(all: readonly T[]): AsyncGenerator<T> {
  yield* all;
}

test("chunks come in shares that begin where passes do", async () => {
  const chunks = [chunk(2, 0, 0), chunk(1, 1), chunk(3, 2, 2), chunk(3, 3, 4), chunk(1, 4), chunk(1, 5, 6)];
  const shares: number[][] = [];
  for await (const share of chunksInShares(given(chunks), 4)) {
    const values: number[] = [];
    for await (const { data } of share) values.push(data[0]!);
    shares.push(values);
  }
  expect(shares).toEqual([
    [0, 1, 2],
    [3, 4, 5],
  ]);
});

test("a stream that does not tell its passes apart is one share", async () => {
  const shares = [];
  for await (const share of chunksInShares(given([chunk(1, 0), chunk(1, 1)]), Number.POSITIVE_INFINITY)) {
    for await (const _ of share);
    shares.push(share);
  }
  expect(shares).toHaveLength(1);
  expect(await momentShare({ model: {}, data: images(1) }, 9999)).toBe(Number.POSITIVE_INFINITY);
});

test("a share is whole passes, enough to be worth its sums, and there are not too many", async () => {
  const shareOf = (pass: number, examples: number): Promise<number> =>
    momentShare({ model: { passExamples: async () => pass }, data: images(1) }, examples);
  expect(await shareOf(80, 1024)).toBe(320);
  expect(await shareOf(2048, 1024)).toBe(2048);
  expect(await shareOf(1, 100)).toBe(256);
  expect(await shareOf(80, 80_000)).toBe(5040);
});

test("rows spread over a stream are the same when it comes in parts", async () => {
  const [of, most] = [10_000, 700];
  const counted = (from: number, to: number): AsyncIterable<Mat> =>
    given([
      matrix(
        to - from,
        1,
        Float64Array.from({ length: to - from }, (_, i) => from + i),
      ),
    ]);
  const placesOf = async (chunks: AsyncIterable<Mat>): Promise<number[]> => {
    const places: number[] = [];
    for await (const { data } of chunks) places.push(...data);
    return places;
  };
  const whole = await placesOf(spreadRows(counted(0, of), { of, most }));
  const parts: number[] = [];
  const borders = [0, 1, 14, 15, 999, 5000, 9990, of];
  for (const [b, from] of borders.slice(0, -1).entries()) {
    parts.push(...(await placesOf(spreadRows(counted(from, borders[b + 1]!), { of, most, from }))));
  }
  expect(parts).toEqual(whole);
});

const spec: NetworkSpec = {
  name: "pictures",
  inputShape: [1, 330, 330],
  classes: 3,
  layers: [
    { kind: "conv2d", name: "conv", in: 1, out: 4, kernel: [3, 3], stride: 10 },
    { kind: "relu" },
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: 4, out: 3 },
  ],
};

function images(count: number) {
  const features = 330 * 330;
  // Far from 0 beside their spread, so that sums are shifted.
  const inputs = matrix(
    count,
    features,
    Float32Array.from({ length: count * features }, (_, i) => 9 + ((i * 7919) % 1013) / 1013),
  );
  return arrayDataset({ inputs, labels: new Uint32Array(count), classes: 3, inputShape: spec.inputShape });
}

describe("shares of a network's examples", () => {
  test.each([128, 99_999])(
    "taken apart add up to the bytes of all (%i rows an input are enough)",
    async (rowsPerInput) => {
      const model: Model = createNetwork(spec, { seed: 1 });
      const count = 300;
      const data = images(count);
      const params = ["conv.weight", "fc.weight"];
      const examples = Uint32Array.from({ length: count }, (_, i) => count - 1 - i);
      const ctx = createRunContext();
      const size = await momentShare({ model, data }, count);
      expect(size).toBeLessThan(count);
      const parts: SummedInputs[][] = [];
      for (let first = 0; first < count; first += size) {
        // What another machine has: the share's examples alone.
        const own = subset(data, examples.slice(first, first + size));
        const all = Uint32Array.from({ length: own.size }, (_, i) => i);
        const share = batchDataset(own, await own.batch(all));
        const asked = { model, params, data: share, examples: all, rowsPerInput, first, of: count };
        const entries = [];
        for await (const entry of shareOfInputs(asked, ctx)) entries.push(entry);
        parts.push(entries);
      }
      expect(parts.length).toBeGreaterThan(1);
      async function* sums(): AsyncGenerator<SummedInputs> {
        for (const e of [0, 1]) {
          const [first, ...others] = parts.map((entries) => entries[e]!);
          const moments = others.reduce((total, one) => addMoments(total, one.moments), first!.moments);
          yield { ...first!, moments };
        }
      }
      const request = { model, data, examples, params, inputs: "parallel" as const };
      const gramsOf = async (apart: boolean) => {
        const found = [];
        const estimator = activations({ rowsPerInput, ...(apart ? { sums: async () => sums() } : {}) });
        for await (const { curvature, count: rows } of estimator.estimate(request, ctx)) {
          found.push({ rows, H: curvature.gram!().data.slice(), means: curvature.means!().slice() });
        }
        return found;
      };
      const here = await gramsOf(false);
      expect(await gramsOf(true)).toEqual(here);
      expect(here[0]!.rows).toBe(rowsPerInput === 128 ? 128 * 9 : 300 * 33 * 33);
    },
  );
});
