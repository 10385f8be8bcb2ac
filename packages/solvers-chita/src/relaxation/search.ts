/**
 * From the row space to a support and the minimiser on it: relaxation.ts, then exchange.ts. Where columns can be gathered for less than a product with all of G
 * costs, both work on those columns alone that may matter, as the active sets of CHITA do (Benbaki et al. 2023, section 3.3), and
 *   - the ascent is preconditioned by I + A_B A_B' / lambda over the max(k, 2 n) columns of greatest saliency: a fraction of the row Gram, and no
 *     more steps than with all of it;
 *   - afterwards V is taken over all columns, which gives a bound for all of Q; columns among its k largest that were left out join, and the ascent goes on.
 */
import { isPruneError, matrix, type RunContext, type Vec, zeros } from "@secateur/core";
import { indices, pick, type RefitOptions, withPrunedModel, withScratch } from "@secateur/core/linalg";
import { union } from "../refit/project.ts";
import { exchange } from "./exchange.ts";
import { boundAt, type DualPoint, denseOptimum, type Relaxation, solveRelaxation } from "./relaxation.ts";
import {
  type ColumnsGram,
  candidateWeights,
  columnsGram,
  factorizeRows,
  type RowSpace,
  type RowSpaceModel,
  rowSpace,
  writeRegularised,
} from "./row-space.ts";

/** What is searched, and how hard. */
export interface SearchTask {
  readonly model: RowSpaceModel;
  /** 0 < keep < p */
  readonly keep: number;
  readonly pool: number;
  readonly rounds: number;
  readonly iterations: number;
}

/** A support and weights on it. */
export interface Found {
  /** In the model, ascending. */
  readonly columns: Uint32Array;
  /** [p] */
  readonly w: Vec;
  /** How to get from w to the exact minimiser on the columns. */
  readonly polish: RefitOptions;
  readonly iterations: number;
  readonly swaps: number;
  readonly lowerBound: number;
  readonly trace: readonly number[];
}

/** Floors on the damping, see {@link rowSpace}: rounding of an f32 Gram matrix may leave a system with the lowest singular. */
const dampingFloors = [1e-8, 1e-6, 1e-4];
/** Conjugate-gradient steps after the swaps: their weights are the minimiser but for rounding. */
const polishIterations = 4;
/** Columns that the relaxation works on first, by saliency and by magnitude, in multiples of k; and n more of the former. */
const active = { bySaliency: 2, byMagnitude: 1.5 };
/** Times that columns join, and the fraction of k that may be left out without another. */
const joins = { most: 3, tolerated: 1e-3 };

/** Searches. @throws ERR_SINGULAR, ERR_ABORTED */
export async function searchSupport(task: SearchTask, ctx: RunContext): Promise<Found> {
  for (const floor of dampingFloors.slice(0, -1)) {
    try {
      return await searchIn(await rowSpace(task.model, floor), task, ctx);
    } catch (error) {
      if (!isPruneError(error) || error.code !== "ERR_SINGULAR") throw error;
    }
  }
  return searchIn(await rowSpace(task.model, dampingFloors.at(-1)!), task, ctx);
}

function searchIn(space: RowSpace, task: SearchTask, ctx: RunContext): Promise<Found> {
  const { kernels, rows, model } = space;
  const chosen = chooseColumns(space, task.keep);
  return withScratch(kernels, async (alloc) => {
    const gram = await columnsGram(space, chosen.system, matrix(rows, rows, alloc(rows * rows, model.dtype)));
    const preconditioner = matrix(rows, rows, alloc(rows * rows, "f64"));
    writeRegularised(space, gram.gram.data, preconditioner);
    factorizeRows(space, preconditioner);
    // Without slope and offset the dense weights are the minimiser.
    const isAtRest = !model.gradient && !model.offset;
    let from: DualPoint = {
      u: isAtRest ? new Float64Array(rows) : await denseOptimum(space, preconditioner, chosen.system),
    };
    let iterations = task.iterations;
    const ascend = async (inner: RowSpace): Promise<Relaxation> => {
      const spec = { space: inner, k: task.keep, preconditioner, from, maxIterations: iterations };
      const relaxed = await solveRelaxation(spec, ctx);
      from = relaxed.end;
      iterations -= relaxed.iterations;
      return relaxed;
    };
    if (!chosen.active)
      return {
        ...(await swap(space, { task, relaxed: await ascend(space), gram }, ctx)),
        iterations: task.iterations - iterations,
      };
    let columns = chosen.active;
    for (let join = 0; ; join++) {
      const found = await withPrunedModel(model, columns, async (pruned) => {
        const inner = spaceOver(space, pruned as RowSpaceModel, columns);
        const relaxed = await ascend(inner);
        const { lowerBound, missing } = await outside(space, { columns, u: from.u, keep: task.keep });
        if (iterations > 0 && missing.length > joins.tolerated * task.keep && join < joins.most) {
          columns = union(columns, missing);
          return undefined;
        }
        const places = placesIn(columns, gram.columns);
        const swapped = await swap(
          inner,
          { task, relaxed: { ...relaxed, lowerBound }, gram: { ...gram, columns: places } },
          ctx,
        );
        return outward(swapped, columns, zeros(space.size, model.dtype));
      });
      if (found) return { ...found, iterations: task.iterations - iterations };
    }
  });
}

/** Swaps from what the relaxation found, within a space. */
async function swap(
  space: RowSpace,
  { task, relaxed, gram }: { task: SearchTask; relaxed: Relaxation; gram: ColumnsGram },
  ctx: RunContext,
): Promise<Omit<Found, "iterations">> {
  const { model, kernels } = space;
  const { candidates, lowerBound: bound } = relaxed;
  // Bound and weights with raised damping are those of another Q.
  const isRaised = space.lambda > model.damping;
  const lowerBound = isRaised ? Number.NEGATIVE_INFINITY : bound;
  const columns = kernels.largest(candidates.map(Math.abs), task.keep);
  if (task.pool === 0 || task.rounds === 0) {
    const w = zeros(space.size, model.dtype);
    for (const j of columns) w[j] = candidates[j]!;
    return { columns, w, polish: {}, trace: [], swaps: 0, lowerBound };
  }
  const spec = { space, columns, candidates, known: gram, pool: task.pool, maxRounds: task.rounds };
  // g / lambda cancels where the damping is small: with a slope the weights need more than a polish.
  const isClose = !isRaised && !model.gradient;
  const polish: RefitOptions = { form: "cg", ...(isClose ? { maxIterations: polishIterations } : {}) };
  return { ...(await exchange(spec, ctx)), polish, lowerBound };
}

interface Chosen {
  /** B, of which the preconditioner is made. */
  readonly system: Uint32Array;
  /** The columns to work on first, with B among them; undefined: all. */
  readonly active: Uint32Array | undefined;
}

function chooseColumns(space: RowSpace, keep: number): Chosen {
  const { rows, size, model, kernels, centre } = space;
  const few = Math.max(keep, 2 * rows);
  if (few >= size || rows * few >= model.productCost) return { system: indices(0, size), active: undefined };
  const score = saliency(space);
  const system = kernels.largest(score, few);
  const many = Math.max(few, active.bySaliency * keep + rows);
  if (2 * many >= size || 2 * many * rows >= model.productCost) return { system, active: undefined };
  // 1.5 k is less than `many`, which is less than all.
  const large = kernels.largest(centre.map(Math.abs), Math.floor(active.byMagnitude * keep));
  return { system, active: union(kernels.largest(score, many), large) };
}

/** |x_j| sqrt(M_j), whose square is OBD's saliency, at x_j = w0_j - g_j / M_j: where Q is least along weight j alone. M_j = H_jj. */
function saliency({ model, lambda, size }: RowSpace): Float64Array {
  const { w0, gradient, scale } = model;
  const norms = model.columnNormsSquared();
  const score = new Float64Array(size);
  for (let j = 0; j < size; j++) {
    const bend = scale * norms[j]! + lambda;
    score[j] = Math.abs(w0[j]! - (gradient ? gradient[j]! / bend : 0)) * Math.sqrt(bend);
  }
  return score;
}

/** The space over some columns, all other weights pruned. */
function spaceOver(space: RowSpace, model: RowSpaceModel, columns: Uint32Array): RowSpace {
  return { ...space, model, size: columns.length, centre: pick(space.centre, columns) };
}

/** The bound over all columns, and those outside of `columns` whose |V_j| is above the k-th largest inside. */
async function outside(
  space: RowSpace,
  { columns, u, keep }: { columns: Uint32Array; u: Float64Array; keep: number },
): Promise<{ lowerBound: number; missing: Uint32Array }> {
  const V = await candidateWeights(space, u);
  const lowerBound = boundAt(space, { V, u, k: keep });
  const left = V.map(Math.abs);
  for (const j of columns) left[j] = Number.NaN;
  const inside = pick(V, columns).map(Math.abs);
  const least = space.kernels
    .largest(inside, keep)
    .reduce((min, s) => Math.min(min, inside[s]!), Number.POSITIVE_INFINITY);
  const missing = indices(0, space.size).filter((j) => left[j]! > least);
  return { lowerBound, missing };
}

/** Places of some of the columns in the list of them, both ascending. */
function placesIn(columns: Uint32Array, some: Uint32Array): Uint32Array {
  let at = 0;
  return some.map((column) => {
    while (columns[at]! < column) at++;
    return at;
  });
}

function outward(found: Omit<Found, "iterations">, columns: Uint32Array, w: Vec): Omit<Found, "iterations"> {
  for (const s of found.columns) w[columns[s]!] = found.w[s]!;
  return { ...found, columns: found.columns.map((s) => columns[s]!), w };
}
