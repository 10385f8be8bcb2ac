import { type RunSituation, resolvePlan, solverFrom } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { cbs, cbsSelector } from "./cbs.ts";
import { jointUpdater, singleUpdater, woodfisher } from "./woodfisher.ts";

const situation = (overrides: Partial<RunSituation> = {}): RunSituation => ({
  sparsity: 0.9,
  prunable: 32_360,
  examples: 60_000,
  initialSparsity: 0,
  ...overrides,
});

describe("the plans of the Brain Surgeon family", () => {
  test("cbs takes many examples of the Gauss-Newton matrix where weights are used once, stored rows where often or asked for", () => {
    expect(resolvePlan(cbs(), situation())).toMatchObject({ stages: 1, curvature: "gauss-newton", examples: 10_000 });
    const asked = resolvePlan(cbs(), situation(), { curvature: "empirical-fisher" });
    expect(asked).toMatchObject({ curvature: "empirical-fisher", examples: 10_000, temperature: 1 });
    const convolutional = situation({ prunable: 268_336, weightReuse: 150 });
    expect(resolvePlan(cbs(), convolutional)).toMatchObject({ curvature: "empirical-fisher", examples: 1304 });
    expect(resolvePlan(cbs(), convolutional, { curvature: "gauss-newton" }).curvature).toBe("gauss-newton");
  });

  test("what may need an inverse gets a curvature that has one", () => {
    const pairs = [solverFrom(cbsSelector(), singleUpdater()), solverFrom(cbsSelector(), jointUpdater()), woodfisher()];
    for (const solver of pairs) expect(resolvePlan(solver, situation()).curvature).toBe("empirical-fisher");
  });

  test("rows become fewer for large networks, and are never more than there are examples", () => {
    const of = (overrides: Partial<RunSituation>): number => resolvePlan(cbs(), situation(overrides)).examples;
    expect(of({ prunable: 10_000_000 })).toBe(1000);
    expect(of({ prunable: 100_000 })).toBe(3500);
    expect(of({ examples: 300 })).toBe(300);
  });
});
