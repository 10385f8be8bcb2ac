import type { PluginSpec } from "../plugin-files.ts";
import type { PluginKind } from "../plugin-kinds.ts";
import { format } from "./format.ts";
import { task } from "./task.ts";
import { trainingRule } from "./training-rule.ts";

/** The ending of a format's files: letters and digits only. */
export const endingOf = (method: string): string => `.${method.replaceAll("-", "")}`;

/** src/METHOD.js: the method itself, one that works, to be replaced. */
export function methodSource({ name: { identifier, method }, kind }: PluginSpec): string {
  return sources[kind]
    .replaceAll("METHOD", identifier)
    .replaceAll("NAME", method)
    .replaceAll("ENDING", endingOf(method));
}

const saliency = `/**
 * The score of weight j is H_jj^mix w_j^2, H the curvature of the loss: replace it by yours, and say here what it means and
 * where it comes from (authors, year, equation).
 *
 * @param {{ mix?: number }} [options] mix: how much the curvature counts, 0 to 1; default 0.5
 * @returns {import("@secateur/core").Saliency}
 */
export function METHOD({ mix = 0.5 } = {}) {
  return {
    // What the curvature has to offer; the run is refused, with the reason, where it does not.
    needs: { curvature: ["diagonal"] },
    // One score a weight; higher = more important. The constraint keeps the highest, whatever the budget.
    score({ w, curvature }) {
      const diagonal = curvature.diagonal();
      // Several rows of weights may share one H: weight j is in column j % cols.
      return Float64Array.from(w.data, (value, j) => diagonal[j % w.cols] ** mix * value ** 2);
    },
  };
}
`;

const selector = `/**
 * Keeps the weights of largest H_jj^mix w_j^2, H the curvature of the loss: replace it by your search, and say here what it
 * does and where it comes from (authors, year, equation).
 *
 * @param {{ mix?: number }} [options] mix: how much the curvature counts, 0 to 1; default 0.5
 * @returns {import("@secateur/core").Selector}
 */
export function METHOD({ mix = 0.5 } = {}) {
  return {
    // What the curvature has to offer; the run is refused, with the reason, where it does not.
    needs: { curvature: ["diagonal"] },
    // One byte a unit, 1 = keep. Units may be weights, blocks or channels; the constraint knows which masks are allowed.
    select({ w, curvature, units, constraint }) {
      const diagonal = curvature.diagonal();
      // Several rows of weights may share one H: weight j is in column j % cols.
      const scores = Float64Array.from(w.data, (value, j) => diagonal[j % w.cols] ** mix * value ** 2);
      return constraint.select(units.reduce(scores));
    },
  };
}
`;

/** Shared by the updater and the solver. */
const descent = `/**
 * Descends from the kept weights as they are. Nothing it is given is changed.
 *
 * @param {import("@secateur/core").Problem} problem
 * @param {import("@secateur/core").Mask} mask
 * @param {import("@secateur/core").RunContext} ctx
 * @param {number} steps
 */
async function descend({ w: w0, curvature, gradient, units }, mask, ctx, steps) {
  const { rows, cols } = w0;
  const isKept = masked({ rows, cols, data: new Float64Array(rows * cols).fill(1) }, units, mask).data;
  const w = Float64Array.from(w0.data, (value, j) => value * isKept[j]);
  const diagonal = curvature.diagonal();
  const slope = new Float64Array(cols);
  const bend = new Float64Array(cols);
  for (let start = 0; start < w.length; start += cols) {
    for (let step = 0; step < steps; step++) {
      // Q(w + x p) = Q(w) + x s'p + x^2 / 2 p'Hp with the slope s = H (w - w0) + g: least at x = -s'p / p'Hp.
      await curvature.apply(slope.map((_, j) => w[start + j] - w0.data[start + j]), slope);
      const p = slope.map((value, j) => {
        const s = value + (gradient?.data[start + j] ?? 0);
        slope[j] = s;
        return isKept[start + j] === 1 && diagonal[j] > 0 ? -s / diagonal[j] : 0;
      });
      await curvature.apply(p, bend);
      const along = dot(p, bend);
      if (!(along > 0)) break;
      const length = -dot(slope, p) / along;
      for (let j = 0; j < cols; j++) w[start + j] += length * p[j];
      // Reports progress, and ends the run when the user asks.
      await ctx.tick({ task: "solve", done: step + 1, total: steps });
    }
  }
  return matrix(rows, cols, w);
}

/** @param {Float64Array} a @param {Float64Array} b */
function dot(a, b) {
  return a.reduce((sum, value, j) => sum + value * b[j], 0);
}
`;

const updater = `import { masked, matrix, throwIfAborted } from "@secateur/core";

/**
 * Given a mask, lowers Q(w) = 1/2 d'Hd + g'd, d = w - w0, over the kept weights by steepest descent with the diagonal of H as
 * preconditioner: replace it by your update, and say here where it comes from (authors, year, equation).
 *
 * @param {{ steps?: number }} [options] steps: at least 1; default 10
 * @returns {import("@secateur/core").Updater}
 */
export function METHOD({ steps = 10 } = {}) {
  return {
    // Every curvature has a diagonal and products.
    needs: {},
    update(problem, mask, ctx) {
      throwIfAborted(ctx.signal);
      return descend(problem, mask, ctx, steps);
    },
  };
}

${descent}`;

const solver = `import { masked, matrix, objective, throwIfAborted } from "@secateur/core";

/**
 * Keeps the largest weights and lowers Q(w) = 1/2 d'Hd + g'd, d = w - w0, over them by steepest descent with the diagonal of H
 * as preconditioner: replace it by your method, and say here where it comes from (authors, year, equation).
 *
 * @param {{ steps?: number }} [options] steps: at least 1; default 10
 * @returns {import("@secateur/core").Solver}
 */
export function METHOD({ steps = 10 } = {}) {
  return {
    // Every curvature has a diagonal and products.
    needs: {},
    async solve(problem, ctx) {
      throwIfAborted(ctx.signal);
      const { w: w0, units, constraint } = problem;
      // The constraint owns the budget: a sparsity, n:m, blocks, channels.
      const mask = constraint.select(units.reduce(Float64Array.from(w0.data, (value) => value ** 2)));
      const w = await descend(problem, mask, ctx, steps);
      return { w, mask, objective: await objective(problem, w), status: "max-iterations", stats: { steps } };
    },
  };
}

${descent}`;

const sources: Readonly<Record<PluginKind, string>> = {
  ...{ saliency, selector, updater, solver },
  ...{ task, format, "training-rule": trainingRule },
};
