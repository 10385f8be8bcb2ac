/**
 * Taylor scores of groups (Molchanov et al., Pruning convolutional neural networks for resource efficient inference, ICLR 2017, equation 8, and Importance
 * estimation for neural network pruning, CVPR 2019, equation 8): how much the loss of each example changes to first order where the group goes,
 *   mean over gradient rows g of | sum over the group of g_i w_i |,   or of its square.
 * Sums of products, unlike products of sums, let weights of a group make up for each other. Departure: a row may be the mean of a mini-batch.
 */
import { type Problem, type RunContext, type Selector, type Solver, solverFrom } from "@secateur/core";
import { eachColumnTile, hasColumns, selectOverRows } from "@secateur/core/linalg";
import { columnGroups } from "./column-groups.ts";
import { defaults } from "./defaults.ts";
import { needsColumns } from "./errors.ts";
import { rowsPlan } from "./plan.ts";

/** Settings of {@link taylor}. */
export interface TaylorOptions {
  /** Of each row's sum: 1 (default) its size, 2 its square. */
  readonly power?: 1 | 2 | undefined;
}

/** The scores [units.count] f64. n p multiply-adds. @throws ERR_INCOMPATIBLE for a curvature without columns of its rows */
export async function taylorScores(
  problem: Problem,
  ctx: RunContext,
  { power = defaults.taylor.power }: TaylorOptions = {},
): Promise<Float64Array> {
  const view = problem.curvature.factor?.();
  if (!hasColumns(view)) throw needsColumns("taylor");
  const { data: w } = problem.w;
  const scores = new Float64Array(problem.units.count);
  for (const [unit, columns] of columnGroups("taylor", problem).entries()) {
    const sums = new Float64Array(view.rows);
    await eachColumnTile({ view, columns, dtype: "f64", kernels: ctx.kernels }, (tile, start) => {
      for (let r = 0; r < tile.rows; r++) {
        for (let j = 0; j < tile.cols; j++) {
          sums[r] = sums[r]! + tile.data[r * tile.cols + j]! * w[columns[start + j]!]!;
        }
      }
    });
    scores[unit] = sums.reduce((total, sum) => total + Math.abs(sum) ** power, 0) / view.rows;
    await ctx.tick({ task: "solve", done: unit + 1, total: scores.length });
  }
  return scores;
}

/** The groups of highest Taylor scores, as a selector. */
export function taylorSelector(options: TaylorOptions = {}): Selector {
  return selectOverRows({
    needs: { curvature: ["factor"] },
    plan: rowsPlan,
    async select(problem, ctx) {
      return problem.constraint.select(await taylorScores(problem, ctx, options));
    },
  });
}

/** Keeps the groups of highest Taylor scores, as they are. */
export function taylor(options: TaylorOptions = {}): Solver {
  return { ...solverFrom(taylorSelector(options)), name: "taylor" };
}
