import { type RunSituation, resolvePlan, solverFrom } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { cbs, cbsSelector } from "./cbs/cbs.ts";
import { obs } from "./obs/obs.ts";
import { jointUpdater, singleUpdater, woodfisher } from "./obs/woodfisher.ts";

const situation = (overrides: Partial<RunSituation> = {}): RunSituation => ({
  sparsity: 0.9,
  prunable: 32_360,
  examples: 60_000,
  initialSparsity: 0,
  ...overrides,
});

describe("the plans of the Brain Surgeon family", () => {
  test("cbs takes many examples of the Gauss-Newton matrix where weights are used once, stored rows where asked for", () => {
    expect(resolvePlan(cbs(), situation())).toMatchObject({ stages: 1, curvature: "gauss-newton", examples: 10_000 });
    const asked = resolvePlan(cbs(), situation(), { curvature: "empirical-fisher" });
    expect(asked).toMatchObject({ curvature: "empirical-fisher", examples: 10_000, temperature: 1 });
  });

  const convolutional = situation({ prunable: 268_336, weightReuse: 150, examples: 5085 });

  test("on convolutions cbs takes a Kronecker product a layer", () => {
    const moments = { ...convolutional, hasLayerMoments: true };
    for (const solver of [cbs(), solverFrom(cbsSelector(), jointUpdater())]) {
      expect(resolvePlan(solver, moments)).toMatchObject({
        ...{ stages: 1, curvature: "kronecker-gauss-newton", examples: 2000, ridge: "auto", temperature: 4 },
        ...{ firstOrder: false, lineSearch: false },
      });
    }
    expect(resolvePlan(cbs(), moments, { curvature: "gauss-newton" }).curvature).toBe("gauss-newton");
    // Of dense layers where it is asked for.
    const asked = resolvePlan(woodfisher(), situation(), { curvature: "kronecker-gauss-newton" });
    expect(asked).toMatchObject({ curvature: "kronecker-gauss-newton", examples: 2000, temperature: 4 });
  });

  test("rows of convolutions are means of mini-batches, and their ridges compete", () => {
    const rows = { curvature: "empirical-fisher", examples: 500, batch: 9, ridgeFactors: [1e-2, 0.1, 1, 10] };
    // Where parts of layers are inverted, rows are what there is.
    const moments = { ...convolutional, hasLayerMoments: true };
    for (const solver of [obs(), woodfisher()]) expect(resolvePlan(solver, moments)).toMatchObject(rows);
    for (const solver of [cbs(), woodfisher(), solverFrom(cbsSelector(), jointUpdater())]) {
      expect(resolvePlan(solver, convolutional)).toMatchObject(rows);
      expect(resolvePlan(solver, moments, { curvature: "empirical-fisher" })).toMatchObject(rows);
    }
    // Never more than 16 examples a row, and at least one.
    expect(resolvePlan(woodfisher(), { ...convolutional, examples: 50_000 }).batch).toBe(16);
    expect(resolvePlan(woodfisher(), { ...convolutional, examples: 300 })).toMatchObject({ batch: 1, examples: 240 });
  });

  test("what may need an inverse gets a curvature that has one", () => {
    const pairs = [solverFrom(cbsSelector(), singleUpdater()), solverFrom(cbsSelector(), jointUpdater()), woodfisher()];
    for (const solver of pairs) expect(resolvePlan(solver, situation()).curvature).toBe("empirical-fisher");
  });

  test("rows become fewer for large networks, and are never more than there are examples", () => {
    const of = (overrides: Partial<RunSituation>): number => resolvePlan(cbs(), situation(overrides)).examples;
    expect(of({ prunable: 10_000_000 })).toBe(1000);
    expect(of({ prunable: 100_000 })).toBe(3500);
    expect(of({ examples: 300 })).toBe(240);
  });
});
