import { createRunContext, factorCurvature } from "@secateur/core";
import { ridgeRefit } from "@secateur/solvers-chita";
import { describe, expect, test } from "vitest";
import { jointUpdater } from "../obs/woodfisher.ts";
import { denseHessian, exactOn, randomProblem, withoutColumns } from "../problem.test-support.ts";
import { jointUpdate } from "./joint-update.ts";

const ctx = createRunContext();
const maskOf = (p: number, keep: number): Uint8Array =>
  Uint8Array.from({ length: p }, (_, j) => ((j * 7) % p < keep ? 1 : 0));
// f64 systems with damping 0.05: condition numbers of a few hundred; conjugate gradients stop at 1e-13.
const tolerance = 1e-9;

function expectClose(found: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(found.length).toBe(expected.length);
  for (let j = 0; j < found.length; j++) expect(Math.abs(found[j]! - expected[j]!)).toBeLessThan(tolerance);
}

describe("the joint OBS update", () => {
  const shapes = [
    { n: 5, p: 13, keep: 9 },
    { n: 20, p: 13, keep: 6 },
    { n: 5, p: 13, keep: 9, firstOrder: true },
    { n: 20, p: 13, keep: 6, firstOrder: true },
    { n: 6, p: 13, keep: 7, dead: [1, 4] },
  ];
  test.each(shapes)("is the exact minimiser on the mask in every form: %j", async (spec) => {
    const problem = randomProblem(spec);
    const mask = maskOf(spec.p, spec.keep);
    const exact = exactOn(problem, await denseHessian(problem), mask);
    for (const form of ["primal", "dual", "cg", "auto"] as const) {
      expectClose(await jointUpdate({ problem, mask, form }, ctx), exact);
    }
  });

  test.each(shapes)("is CHITA's ridge re-fit with the same H: %j", async (spec) => {
    const problem = randomProblem(spec);
    const mask = maskOf(spec.p, spec.keep);
    const refit = await ridgeRefit({ form: "primal" }).update(problem, mask, ctx);
    expectClose((await jointUpdater().update(problem, mask, ctx)).data, refit.data);
  });

  test("serves a curvature that has products only", async () => {
    const problem = randomProblem({ n: 7, p: 13, keep: 6, firstOrder: true });
    const { apply, diagonal } = factorCurvature(problem.curvature.factor!());
    const mask = maskOf(13, 6);
    const bare = { ...problem, curvature: { dim: 13, apply, diagonal } };
    expectClose(await jointUpdate({ problem: bare, mask }, ctx), exactOn(problem, await denseHessian(problem), mask));
  });

  test.each(shapes)("serves a curvature that has Gram matrices of columns instead of columns: %j", async (spec) => {
    const problem = randomProblem(spec);
    const mask = maskOf(spec.p, spec.keep);
    const exact = exactOn(problem, await denseHessian(problem), mask);
    for (const form of ["primal", "cg", "auto"] as const) {
      expectClose(await jointUpdate({ problem: withoutColumns(problem), mask, form }, ctx), exact);
    }
    await expect(jointUpdate({ problem: withoutColumns(problem), mask, form: "dual" }, ctx)).rejects.toThrow(
      expect.objectContaining({ code: "ERR_INCOMPATIBLE", message: expect.stringContaining("dual form") }),
    );
  });

  test("in blocks takes entries of H between blocks for zero", async () => {
    const problem = randomProblem({ n: 7, p: 12, keep: 6 });
    const H = await denseHessian(problem);
    for (let i = 0; i < 12; i++) for (let j = 0; j < 12; j++) if (i < 6 !== j < 6) H.data[i * 12 + j] = 0;
    const mask = maskOf(12, 6);
    expectClose(await jointUpdate({ problem, mask, blockSize: "layer" }, ctx), exactOn(problem, H, mask));
  });

  test("keeps the dense weights where nothing is pruned and gives zeros where all is", async () => {
    const problem = randomProblem({ n: 7, p: 5, keep: 5 });
    expectClose(await jointUpdate({ problem, mask: new Uint8Array(5).fill(1) }, ctx), problem.w.data);
    expect([...(await jointUpdate({ problem, mask: new Uint8Array(5) }, ctx))]).toEqual([0, 0, 0, 0, 0]);
  });

  test.each([
    { n: 4, p: 9, keep: 6 }, // fewer rows than kept weights
    { n: 9, p: 9, keep: 6, dead: [2] }, // a kept weight that no gradient reaches
  ])("refuses a singular H without damping, naming pivot and damping: %j", async (spec) => {
    const problem = randomProblem({ ...spec, ridge: 0 });
    const mask = Uint8Array.from({ length: 9 }, (_, j) => (j < 6 ? 1 : 0));
    for (const posed of [problem, withoutColumns(problem)]) {
      await expect(jointUpdate({ problem: posed, mask }, ctx)).rejects.toThrow(
        expect.objectContaining({
          code: "ERR_SINGULAR",
          message: expect.stringMatching(/pivot \d.*damping 0\).*ridge/),
        }),
      );
    }
  });
});
