/**
 * {@link chita} for rows beyond the memory of one process: the relaxation, the swaps around it and the exact weights of its method for few rows, with every column of
 * G [n, p] and everything of p numbers in one of several shards, of which only vectors and Gram matrices of the n rows meet (column-space.ts). Departures:
 *   - sums over the columns are sums over panels of them along a fixed tree (tree-sum.ts), so that no bit depends on how many shards there are, where
 *     they are, or which answers first;
 *   - every product is over all columns and preconditioned by all of them, where chita leaves out columns that cannot be chosen any more;
 *   - what takes out the rounding of the n x n systems at the end is refinement in the space of the rows, r = A_S V_S(u) - y - u, u += M_S^-1 r, rather
 *     than conjugate gradients on the support: it moves n numbers, not the support's.
 */
import type { Mat, RunContext, Solution } from "@secateur/core";
import { solveFactored } from "@secateur/core/linalg";
import { chitaDefaults, effortFor } from "../chita-defaults.ts";
import {
  assertSolvedByColumns,
  type ColumnProblem,
  type ColumnSpace,
  columnSpace,
  factorOf,
  placeCandidates,
  supportGram,
} from "./column-space.ts";
import { exchangeColumns, placedValue } from "./exchange-columns.ts";
import { cutPanels, panelColumns } from "./panels.ts";
import { relaxColumns } from "./relax-columns.ts";
import { askAll, largestPlaces } from "./sum-shards.ts";

/** A problem by columns, and how many weights are kept. */
export interface ChitaByColumnsSpec extends Omit<ColumnProblem, "size"> {
  /** w0 [p] */
  readonly weights: Float32Array;
  /** k, 0 <= k <= p */
  readonly keep: number;
  /** Columns a panel, the same as in the shards, which hold what `cutPanels` says; default `panelColumns`. */
  readonly panel?: number;
  readonly iterations?: number | undefined;
  readonly pool?: number | undefined;
  readonly rounds?: number | undefined;
}

/** Weights [p] with at most k non-zeros, and what is known of them. */
export interface ColumnSolution {
  readonly weights: Float32Array;
  readonly mask: Uint8Array;
  readonly objective: number;
  readonly status: Solution["status"];
  readonly trace: readonly number[];
  /** iterations, swaps, refinements; lowerBound and gap where a bound is known. */
  readonly stats: Readonly<Record<string, number>>;
}

/** Refinements at most; each takes as many digits as the systems hold, and two passes over the rows. */
const refinements = 3;
/** A residual that falls by less than this is rounding. */
const falls = 0.5;

/**
 * Solves. Passes over the rows: two for the Gram matrices (n^2 p multiply-adds, and n^2 min(k, p - k)), three before the relaxation and two an iteration of it, three a
 * round of swaps, at most nine for the refinement. What moves: a few vectors of n numbers a pass and shard, a few times n^2 numbers for each Gram matrix, the columns of
 * the pool, and each shard's weights once in and once out.
 *
 * @throws ERR_INCOMPATIBLE for more than 2,048 rows or no damping, ERR_SINGULAR, ERR_NOT_FINITE, ERR_ABORTED; what shards throw
 */
export async function chitaByColumns(spec: ChitaByColumnsSpec, ctx: RunContext): Promise<ColumnSolution> {
  const { shards, weights, keep, panel = panelColumns, firstOrder, damping } = spec;
  const size = weights.length;
  const effort = effortFor(Math.min(spec.rows, size));
  const { rounds = chitaDefaults.rounds, iterations = effort.iterations, pool = effort.pool } = spec;
  assertSolvedByColumns({ where: "chita by columns", rows: spec.rows, damping, maxRows: spec.maxRows });
  if (!firstOrder && weights.reduce((count, value) => count + (value === 0 ? 0 : 1), 0) <= keep) return asItIs(weights);
  const ranges = cutPanels(size, shards.length, panel);
  await askAll(shards, (shard, place) => {
    const { from, to } = ranges[place]!;
    return shard.begin(weights.slice(from * panel, Math.min(to * panel, size)));
  });
  const space = await columnSpace({ ...spec, size });
  const mustChoose = keep > 0 && keep < size;
  const relaxed = mustChoose
    ? await relaxColumns(space, { keep, maxIterations: iterations, leastGain: effort.leastGain }, ctx)
    : { u: space.shift.slice(), lowerBound: Number.NEGATIVE_INFINITY, iterations: 0 };
  if (!mustChoose) await placeCandidates(space, relaxed.u);
  if (keep > 0) {
    const { bits, ties } = await largestPlaces(shards, keep);
    await askAll(shards, (shard, place) => shard.keep({ bits, ties: ties[place]! }));
  }
  const gram = await supportGram(space, keep);
  const swaps =
    mustChoose && pool > 0 && rounds > 0
      ? await exchangeColumns(space, { gram, pool, maxRounds: rounds }, ctx)
      : { u: relaxed.u, swaps: 0, trace: [] };
  const refined = await refine(space, { u: swaps.u, factor: factorOf(space, gram) }, ctx);
  const parts = await askAll(shards, (shard) => shard.result());
  const { lowerBound } = relaxed;
  const largest = Math.max(Math.abs(refined.value), Math.abs(lowerBound));
  const gap = largest === 0 ? 0 : (refined.value - lowerBound) / largest;
  return {
    weights: joined(
      new Float32Array(size),
      parts.map((part) => part.weights),
    ),
    mask: joined(
      new Uint8Array(size),
      parts.map((part) => part.mask),
    ),
    objective: refined.value,
    status: "converged",
    trace: swaps.trace,
    stats: {
      ...{ iterations: relaxed.iterations, swaps: swaps.swaps, refinements: refined.count },
      ...(Number.isFinite(lowerBound) ? { lowerBound, gap } : {}),
    },
  };
}

/** The exact weights on the support, in the shards. */
async function refine(
  space: ColumnSpace,
  { u, factor }: { u: Float64Array; factor: Mat },
  ctx: RunContext,
): Promise<{ value: number; count: number }> {
  const { kernels } = space;
  let best = await placeAt(space, u);
  for (let count = 1; count <= refinements; count++) {
    const step = best.residual.slice();
    solveFactored(factor, step, kernels);
    const next = await placeAt(
      space,
      best.u.map((value, i) => value + step[i]!),
    );
    await ctx.tick({ task: "solve", done: count, total: refinements, values: { objective: next.value } });
    const [before, after] = [kernels.dot(best.residual, best.residual), kernels.dot(next.residual, next.residual)];
    if (!(after < before)) {
      await placeCandidates(space, best.u);
      return { value: best.value, count };
    }
    best = next;
    if (after > falls ** 2 * before) return { value: best.value, count };
  }
  return { value: best.value, count: refinements };
}

/** V = w0 - A'u / lambda in the shards; how far u is from the solution on the support, r = A_S V_S - y - u, and Q there. Two passes over the rows. */
async function placeAt(
  space: ColumnSpace,
  u: Float64Array,
): Promise<{ u: Float64Array; residual: Float64Array; value: number }> {
  await placeCandidates(space, u);
  const { offTarget, value } = await placedValue(space);
  return { u, residual: offTarget.map((one, i) => one - u[i]!), value };
}

/** Weights that meet the budget, where no slope leads away from them: Q = 0 cannot be beaten. */
function asItIs(weights: Float32Array): ColumnSolution {
  const mask = Uint8Array.from(weights, (value) => (value === 0 ? 0 : 1));
  const stats = { iterations: 0, swaps: 0, lowerBound: 0, gap: 0 };
  return { weights: weights.slice(), mask, objective: 0, status: "exact", trace: [], stats };
}

function joined<T extends Float32Array | Uint8Array>(whole: T, parts: readonly T[]): T {
  let from = 0;
  for (const part of parts) {
    whole.set(part, from);
    from += part.length;
  }
  return whole;
}
