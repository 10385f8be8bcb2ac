/** From a mask or weights in f64 to the solution that is handed back. */
import { type Mask, type Mat, type Problem, type Solution, type SolveStatus, weightMask } from "@secateur/core";
import type { LayerProblem } from "./layer-problem.ts";

/** What a method found. */
export interface Found {
  /** [rows, cols] f64, zeros where the mask is 0. */
  readonly w: Mat;
  /** [units.count] */
  readonly mask: Mask;
  readonly status: SolveStatus;
  readonly stats: Readonly<Record<string, number>>;
  readonly trace?: readonly number[];
  /** What Q cannot go below. */
  readonly bound?: number | undefined;
}

/**
 * The solution, in the dtype of the problem's weights. stats gain `relativeError` = Q / (1/2 sum over rows of w0'H w0), and where they
 * there is one `lowerBound`, `relativeLowerBound` by the same measure, and `gap` (Q minus bound, divided by the larger of their sizes); where they are
 * not 0 `dead` (inputs that are always 0) and `ridge` (what was added to H while searching).
 */
export function solutionOf(problem: Problem, layer: LayerProblem, found: Found): Solution {
  const { rows, cols, data } = problem.w;
  const w = { rows, cols, data: data.slice() };
  w.data.set(found.w.data);
  if (layer.dead > 0) keepOfDead(w, { problem, layer, mask: found.mask });
  // Rounded to f32 the weights are what they will be in the model: Q is theirs.
  const objective = layer.objective(w);
  const energy = problem.gradient ? 0 : layer.energy;
  return {
    w,
    mask: found.mask,
    objective,
    status: found.status,
    stats: {
      ...found.stats,
      ...(energy > 0 ? { relativeError: objective / energy } : {}),
      ...boundStats(found.bound, objective, energy),
      ...(layer.dead > 0 ? { dead: layer.dead } : {}),
      ...(layer.ridge > 0 ? { ridge: layer.ridge } : {}),
    },
    ...(found.trace ? { trace: found.trace } : {}),
  };
}

/** Of inputs that are always 0 nothing is known: a weight that the budget keeps stays as it was. */
function keepOfDead(w: Mat, { problem, layer, mask }: { problem: Problem; layer: LayerProblem; mask: Mask }): void {
  const kept = weightMask(problem.units, mask);
  for (let j = 0; j < w.cols; j++) {
    if (layer.diagonal[j]! > 0) continue;
    for (let i = j; i < kept.length; i += w.cols) if (kept[i] === 1) w.data[i] = problem.w.data[i]!;
  }
}

function boundStats(bound: number | undefined, objective: number, energy: number): Readonly<Record<string, number>> {
  if (bound === undefined) return {};
  const size = Math.max(Math.abs(objective), Math.abs(bound));
  return {
    lowerBound: bound,
    gap: size > 0 ? (objective - bound) / size : 0,
    ...(energy > 0 ? { relativeLowerBound: bound / energy } : {}),
  };
}

/** Runs `work` with a problem written out, which is released whatever happens. */
export async function withLayer<T>(
  layer: Promise<LayerProblem>,
  work: (layer: LayerProblem) => Promise<T>,
): Promise<T> {
  const opened = await layer;
  try {
    return await work(opened);
  } finally {
    opened.release();
  }
}
