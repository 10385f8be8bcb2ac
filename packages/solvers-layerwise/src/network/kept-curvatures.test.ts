import { createRunContext, type LayerCurvatureRequest, matrix, type RunContext } from "@secateur/core";
import { gramCurvature } from "@secateur/core/linalg";
import { expect, test } from "vitest";
import { keepCurvatures } from "./kept-curvatures.ts";

const { kernels } = createRunContext();
const request = {} as LayerCurvatureRequest;

/** Two layers that share one array, as an estimator that frees a layer before the next. */
const source = {
  name: "reused",
  async *estimate(_: LayerCurvatureRequest, ctx: RunContext) {
    const H = matrix(2, 2, new Float64Array(4));
    for (const scale of [1, 3]) {
      H.data.set([2 * scale, scale, scale, 2 * scale]);
      const targets = [{ param: `w${scale}`, firstRow: 0, rows: 1 }];
      const dense = { cross: H, own: H, means: new Float64Array(2) };
      ctx.report({ type: "note", level: "info", code: `layer ${scale}`, message: "" });
      yield { targets, cols: 2, count: 9, damping: 0, dead: 0, curvature: gramCurvature(H, { kernels }), dense };
    }
  },
};

test("what was read once is given again as it was, also of an estimator that frees its layers", async () => {
  const kept = keepCurvatures(source, { kernels });
  expect(kept.replay()).toBeUndefined();
  for (let turn = 0; turn < 2; turn++) {
    const estimator = turn === 0 ? kept.estimator : kept.replay()!;
    const seen: number[][] = [];
    const notes: string[] = [];
    const ctx = createRunContext({ onEvent: (event) => event.type === "note" && notes.push(event.code) });
    for await (const { curvature, dense } of estimator.estimate(request, ctx))
      seen.push([...curvature.gram!().data, ...dense!.cross.data]);
    expect(seen).toEqual([
      [2, 1, 1, 2, 2, 1, 1, 2],
      [6, 3, 3, 6, 6, 3, 3, 6],
    ]);
    expect(notes).toEqual(["layer 1", "layer 3"]);
  }
});

test("of a reading that was broken off nothing is given again, nor of one that was released", async () => {
  const kept = keepCurvatures(source, { kernels });
  for await (const _ of kept.estimator.estimate(request, createRunContext())) break;
  expect(kept.replay()).toBeUndefined();
  for await (const _ of kept.estimator.estimate(request, createRunContext()));
  expect(kept.replay()).toBeDefined();
  kept.release();
  expect(kept.replay()).toBeUndefined();
});

test("nothing is kept beyond its bound, nor of a curvature that has no H written out", async () => {
  const read = async (curvature: typeof source, most?: number): Promise<boolean> => {
    const kept = keepCurvatures(curvature, { kernels, ...(most === undefined ? {} : { most }) });
    for await (const _ of kept.estimator.estimate(request, createRunContext()));
    return kept.replay() !== undefined;
  };
  expect([await read(source, 24), await read(source, 23)]).toEqual([true, false]);
  const implicit = {
    ...source,
    async *estimate(asked: LayerCurvatureRequest, ctx: RunContext) {
      for await (const layer of source.estimate(asked, ctx)) {
        const { gram: _, ...curvature } = layer.curvature;
        yield { ...layer, curvature } as typeof layer;
      }
    },
  };
  expect(await read(implicit)).toBe(false);
});
