/**
 * A shared budget by dynamic programming over a database of losses, as SPDY shares one out (Frantar and Alistarh, ICML 2022, section 3): with e_l(i)
 * what layer l loses at level i and c_l(i) the weights that it keeps there,
 *   minimise the sum over layers of e_l(i_l)  subject to  the sum of c_l(i_l) <= K.
 * Levels keep a twentieth less each. Costs are rounded up to a grid of at most `costSteps` steps for K, on which the answer is exact; weights that
 * this leaves of the budget go where the last step saved most for each. Departures: e is what the removals of the layer's OBC traces cost
 * together, as a fraction of the energy of its outputs; no measure of the network weighs the layers; and a layer is emptied only where the budget has
 * no weight for each.
 */
import { allocateRemovals, type RowLosses } from "../search/allocate.ts";

/** What a layer loses at each level; the first keeps all that it may, the last but one a weight, the last nothing. */
export interface LossLevels {
  /** Weights kept, falling to 0. */
  readonly kept: Uint32Array;
  /** Loss, relative to the energy of the layer's outputs. */
  readonly loss: Float64Array;
}

/** Of a level what the next one keeps. */
const share = 0.95;
/** What an empty layer costs beside its losses, which are about 1: an empty layer ends what flows through it. */
const emptied = 1e3;
/** Steps of the grid of costs. */
const costSteps = 10_000;

/** The database of a layer from the traces of its rows: what each level's removals, allocated as OBC does, cost together. */
export function lossLevels(
  rows: readonly RowLosses[],
  { size, eligible = size, energy }: { size: number; eligible?: number; energy: number },
): LossLevels {
  const kept = [eligible];
  for (let wanted = eligible * share; wanted >= 1; wanted *= share) {
    const level = Math.floor(wanted);
    if (level < kept.at(-1)!) kept.push(level);
  }
  if (kept.at(-1)! > 0) kept.push(0);
  const sums = rows.map(({ losses }) => {
    let sum = 0;
    return losses.map((loss) => (sum += loss));
  });
  const loss = kept.map((count) => {
    const removed = allocateRemovals(rows, size - count);
    const total = sums.reduce((all, row, r) => all + (row[removed[r]! - 1] ?? 0), 0);
    return (energy > 0 ? total / energy : 0) + (count === 0 && size > 0 ? emptied : 0);
  });
  return { kept: Uint32Array.from(kept), loss: Float64Array.from(loss) };
}

/** Weights that each layer keeps: at most `keep` in all, and as many as that where layers may keep so many. Time: levels times `costSteps`. */
export function shareByLevels(layers: readonly LossLevels[], keep: number): readonly number[] {
  const chosen = leastLoss(layers, { budget: keep, steps: costSteps });
  const kept = layers.map((levels, l) => levels.kept[chosen[l]!]!);
  let left = keep - kept.reduce((sum, count) => sum + count, 0);
  /** Loss that a weight more saves, up to the next level. */
  const worth = (l: number): number => {
    const { kept: counts, loss } = layers[l]!;
    const next = chosen[l]! - 1;
    return next < 0 ? -1 : (loss[next + 1]! - loss[next]!) / (counts[next]! - counts[next + 1]!);
  };
  while (left > 0) {
    const open = [...layers.keys()].filter((l) => chosen[l]! > 0);
    if (open.length === 0) break;
    const best = open.reduce((most, l) => (worth(l) > worth(most) ? l : most));
    const more = Math.min(left, layers[best]!.kept[chosen[best]! - 1]! - kept[best]!);
    kept[best]! += more;
    left -= more;
    chosen[best]!--;
  }
  return kept;
}

/**
 * The levels of least total loss whose costs, each rounded up to whole steps of `budget` / `steps` weights (at least one), fit the budget; ties go to the
 * sparser levels of the last layers.
 */
export function leastLoss(
  layers: readonly LossLevels[],
  { budget, steps }: { budget: number; steps: number },
): Uint32Array {
  const step = Math.max(1, Math.ceil(budget / steps));
  const size = Math.floor(budget / step) + 1;
  let best = new Float64Array(size);
  const choices = layers.map(({ kept, loss }) => {
    const costs = kept.map((count) => Math.ceil(count / step));
    const next = new Float64Array(size).fill(Number.POSITIVE_INFINITY);
    const choice = new Uint16Array(size);
    // From the sparsest level on, so that a denser one is taken only where it is better.
    for (let i = kept.length - 1; i >= 0; i--) {
      for (let c = costs[i]!; c < size; c++) {
        const total = best[c - costs[i]!]! + loss[i]!;
        if (total < next[c]!) {
          next[c] = total;
          choice[c] = i;
        }
      }
    }
    best = next;
    return choice;
  });
  const chosen = new Uint32Array(layers.length);
  for (let l = layers.length - 1, c = size - 1; l >= 0; l--) {
    chosen[l] = choices[l]![c]!;
    c -= Math.ceil(layers[l]!.kept[chosen[l]!]! / step);
  }
  return chosen;
}
