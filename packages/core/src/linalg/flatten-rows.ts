/**
 * Several rows of weights that share H, as one row: with I the identity over the rows, the curvature of all weights is I (x) H, zero
 * between rows, and its gradient rows are those of H once for every row of weights. A method for one flattened row then chooses under one
 * budget over all rows; what it solves on a support falls apart into rows again through the curvature's `blocks`.
 */
import type { Curvature, InverseView } from "../problem/curvature.ts";
import { dtypeOf, type Mat, matrix, type Vec, zeros } from "../problem/matrix.ts";
import type { Problem, Solution } from "../problem/problem.ts";
import type { Selector, Solver, Updater } from "../problem/strategy.ts";
import { joinFactors, joinInverses, partsOf } from "./block-diagonal.ts";

/**
 * The problem with its rows one after the other in one; itself when it has one row. Nothing is copied. A product costs one product with
 * H a row; the inverse over all weights is shared by the rows.
 */
export function flattenRows(problem: Problem): Problem {
  const { w, gradient, curvature, layers: _, ...rest } = problem;
  const { rows, cols } = w;
  if (rows === 1) return problem;
  return {
    ...rest,
    w: matrix(1, rows * cols, w.data),
    ...(gradient ? { gradient: matrix(1, gradient.data.length, gradient.data) } : {}),
    curvature: repeatedCurvature(curvature, rows),
    layers: Array.from({ length: rows }, (_, r) => ({ name: `row ${r}`, start: r * cols, size: cols })),
  };
}

/** A solver for one row, made to take several that share H: it solves the flattened problem. */
export function overRows(solver: Solver): Solver {
  const { draft } = solver;
  return {
    ...solver,
    ...(draft ? { draft: overRows(draft) } : {}),
    async solve(problem, ctx): Promise<Solution> {
      const solution = await solver.solve(flattenRows(problem), ctx);
      return { ...solution, w: { ...problem.w, data: solution.w.data } };
    },
  };
}

/** As {@link overRows}, for a selector. */
export function selectOverRows(selector: Selector): Selector {
  return { ...selector, select: (problem, ctx) => selector.select(flattenRows(problem), ctx) };
}

/** As {@link overRows}, for an updater. */
export function updateOverRows(updater: Updater): Updater {
  return {
    ...updater,
    async update(problem, mask, ctx): Promise<Mat> {
      const { data } = await updater.update(flattenRows(problem), mask, ctx);
      return { ...problem.w, data };
    },
  };
}

/** I (x) H. */
function repeatedCurvature(curvature: Curvature, count: number): Curvature {
  const { dim } = curvature;
  const each = <T>(value: T): readonly T[] => Array.from({ length: count }, () => value);
  const part = (vector: Vec, r: number): Vec => vector.subarray(r * dim, (r + 1) * dim);
  return {
    dim: count * dim,
    diagonal() {
      const diagonal = curvature.diagonal();
      const out = zeros(count * dim, dtypeOf(diagonal));
      for (let r = 0; r < count; r++) out.set(diagonal, r * dim);
      return out;
    },
    async apply(x, out) {
      for (let r = 0; r < count; r++) await curvature.apply(part(x, r), part(out, r));
    },
    ...(curvature.energy && { energy: (D) => curvature.energy!(matrix(D.rows * count, dim, D.data)) }),
    blocks: () => each(curvature).map((own, r) => ({ start: r * dim, size: dim, curvature: own })),
    ...(curvature.factor && { factor: () => joinFactors(each(curvature.factor!())) }),
    ...(curvature.inverse && {
      async inverse(support) {
        if (!support) return joinInverses(each(await curvature.inverse!()));
        const inverses: InverseView[] = [];
        try {
          for (const chosen of partsOf(support, each(dim))) inverses.push(await curvature.inverse!(chosen));
        } catch (error) {
          for (const inverse of inverses) inverse.release();
          throw error;
        }
        return joinInverses(inverses);
      },
    }),
  };
}
