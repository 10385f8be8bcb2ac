import { createRunContext, matrix, type RunEvent } from "@secateur/core";
import { expect, test } from "vitest";
import { keeping, layerOf } from "../layer.test-support.ts";
import { foreseen, noteLong } from "./foreseen.ts";
import type { LayerProblem } from "./layer-problem.ts";

test("what a layer takes grows with the cube of its width, less without ADMM, and is said from a minute on", () => {
  const square = (n: number) => ({ rows: n, cols: n });
  const [once, twice] = [foreseen(square(512), { runsAdmm: true }), foreseen(square(1024), { runsAdmm: true })];
  expect(twice.seconds / once.seconds).toBeCloseTo(8, 12);
  expect(twice.sparsegpt / once.sparsegpt).toBeCloseTo(8, 12);
  expect(foreseen(square(512), { runsAdmm: false }).seconds).toBeLessThan(once.seconds);
  const said = (n: number): readonly RunEvent[] => {
    const events: RunEvent[] = [];
    // Asked before anything of the layer is read but its extents.
    const problem = layerOf({ rows: 1, cols: 2, constraint: keeping(1) });
    const layer = { ...problem, ...square(n), H: matrix(0, 0, new Float64Array(0)) } as unknown as LayerProblem;
    noteLong(layer, { runsAdmm: true }, createRunContext({ onEvent: (event) => events.push(event) }));
    return events;
  };
  expect(said(512)).toEqual([]);
  expect(said(4096)).toMatchObject([
    { code: "layer-long", message: expect.stringMatching(/fc1: 4096 rows.*minutes.*solver sparsegpt/) },
  ]);
});
