import { createRunContext, type LayerCurvatureRequest, matrix } from "@secateur/core";
import { gramCurvature } from "@secateur/core/linalg";
import { expect, test } from "vitest";
import { keepCurvatures } from "./kept-curvatures.ts";

const { kernels } = createRunContext();
const request = {} as LayerCurvatureRequest;

/** Two layers that share one array, as an estimator that frees a layer before the next. */
const source = {
  name: "reused",
  async *estimate() {
    const H = matrix(2, 2, new Float64Array(4));
    for (const scale of [1, 3]) {
      H.data.set([2 * scale, scale, scale, 2 * scale]);
      const targets = [{ param: `w${scale}`, firstRow: 0, rows: 1 }];
      yield { targets, cols: 2, count: 9, damping: 0, dead: 0, curvature: gramCurvature(H, { kernels }) };
    }
  },
};

test("what was read once is given again as it was, also of an estimator that frees its layers", async () => {
  const kept = keepCurvatures(source, { kernels });
  expect(kept.replay()).toBeUndefined();
  for (let turn = 0; turn < 2; turn++) {
    const estimator = turn === 0 ? kept.estimator : kept.replay()!;
    const seen: number[][] = [];
    for await (const { curvature } of estimator.estimate(request, createRunContext()))
      seen.push([...curvature.gram!().data]);
    expect(seen).toEqual([
      [2, 1, 1, 2],
      [6, 3, 3, 6],
    ]);
  }
});

test("nothing is kept beyond its bound, nor of a curvature that has no H written out", async () => {
  const read = async (curvature: typeof source, most?: number): Promise<boolean> => {
    const kept = keepCurvatures(curvature, { kernels, ...(most === undefined ? {} : { most }) });
    for await (const _ of kept.estimator.estimate(request, createRunContext()));
    return kept.replay() !== undefined;
  };
  expect([await read(source, 8), await read(source, 7)]).toEqual([true, false]);
  const implicit = {
    ...source,
    async *estimate() {
      for await (const layer of source.estimate()) {
        const { gram: _, ...curvature } = layer.curvature;
        yield { ...layer, curvature } as typeof layer;
      }
    },
  };
  expect(await read(implicit)).toBe(false);
});
