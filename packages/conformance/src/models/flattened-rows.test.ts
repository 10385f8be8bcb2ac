import { flattenRows } from "@secateur/core/linalg";
import { describe, expect, test } from "vitest";
import { type TinySpec, tinyProblem } from "../solvers/tiny-problems.ts";
import { denseOf, ensureViews } from "./view-checks.ts";

const provides = ["diagonal", "apply", "factor", "blocks", "inverse"] as const;

describe("the curvature of several rows in one", () => {
  const specs: readonly TinySpec[] = [{}, { examples: 3 }, { productsOnly: true }, { kind: "dead columns" }];

  test.each(specs)("has views that are views of one matrix: %j", async (spec) => {
    const { problem } = tinyProblem({ ...spec, rows: 3 });
    // f64 throughout, and sums of a few products.
    await ensureViews(flattenRows(problem).curvature, provides, 1e-12);
  });

  test("is H in every row and zero between rows", async () => {
    const { problem } = tinyProblem({ rows: 3 });
    const [H, all] = [await denseOf(problem.curvature), await denseOf(flattenRows(problem).curvature)];
    const { cols } = H;
    for (let i = 0; i < all.rows; i++) {
      for (let j = 0; j < all.cols; j++) {
        const isSame = Math.floor(i / cols) === Math.floor(j / cols);
        expect(all.data[i * all.cols + j]).toBe(isSame ? H.data[(i % cols) * cols + (j % cols)] : 0);
      }
    }
  });

  test("has the inverse over any kept weights, row by row", async () => {
    const { problem } = tinyProblem({ rows: 3 });
    const { curvature } = flattenRows(problem);
    const support = Uint32Array.of(0, 2, 3, 8, 11);
    const inverse = await curvature.inverse!(support);
    const H = await denseOf(curvature);
    const column = new Float64Array(support.length);
    for (let t = 0; t < support.length; t++) {
      await inverse.column(t, column);
      support.forEach((i, r) => {
        let sum = 0;
        support.forEach((j, s) => {
          sum += H.data[i * H.cols + j]! * column[s]!;
        });
        // Condition numbers of some tens.
        expect(Math.abs(sum - (r === t ? 1 : 0))).toBeLessThan(1e-11);
      });
    }
    inverse.release();
  });

  test("a problem of one row stays as it is", () => {
    const { problem } = tinyProblem();
    expect(flattenRows(problem)).toBe(problem);
  });
});
