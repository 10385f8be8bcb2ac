/**
 * Pruning along a path, by products with G and G' alone: for more rows than an n x n system is worth, and for curvatures
 * whose rows are never formed. With M_j = H_jj (damping included) and u the current weights:
 *   shrink   keep the support by M_j u_j^2 (OBD's saliency at the re-fitted weights, LeCun et al. 1990), a factor `ratio`
 *            fewer each round until the constraint holds; after each round a few conjugate-gradient steps on Q over the
 *            support, from where u is;
 *   swap     at weights that meet the constraint already (a stage at the target): first let the `regrowFraction` most promising
 *            pruned weights in, by g_j^2 / M_j (the decrease of Q along coordinate j), re-fit, then shrink in one round.
 * In the spirit of CHITA++ (Benbaki et al. 2023, section 4), with pruning and re-fitting interleaved inside a stage.
 */
import {
  type Constraint,
  keptPlaces,
  type Problem,
  type RunContext,
  type Solution,
  type Vec,
  zeros,
} from "@secateur/core";
import { gradientAt, pick, pointAt, type QuadraticModel, refit, valueAt, withModelOver } from "@secateur/core/linalg";
import { bestSupport, largestOf, type Support } from "../refit/project.ts";
import { solutionFrom } from "../refit/solution.ts";

/** How a path is walked. */
interface Pace {
  /** How many times fewer weights a round keeps. */
  readonly ratio: number;
  /** Conjugate-gradient iterations after a round, after the last one, and where weights are swapped. */
  readonly round: number;
  readonly last: number;
  readonly swap: number;
  /** The relative residual at which they stop earlier. */
  readonly tolerance: number;
}

/** Where a product is a pass over thousands of examples; chosen on held-out training data of MNIST. */
const fewProducts: Pace = { ratio: 1.35, round: 5, last: 15, swap: 10, tolerance: 1e-2 };
/** Where it is a product of a few small matrices; chosen on held-out training images of CIFAR-10: 5 points at 90 %. */
const manyProducts: Pace = { ratio: 1.15, round: 20, last: 60, swap: 30, tolerance: 1e-3 };
/** Streamed multiply-adds a weight up to which a product counts as cheap: rows of a few hundred numbers, or Kronecker factors. */
export const cheapProduct = 256;

/** Where the path has come to. */
interface Walker {
  /** Residual at weights 0: offset - G w0 [rows]. With it residuals take products over the support alone. */
  readonly atZero: Vec;
  /** [p], zero outside the columns. */
  readonly u: Vec;
  /** Ascending. */
  readonly columns: Uint32Array;
  /** Conjugate-gradient iterations so far. */
  readonly iterations: number;
  /** Q at u. */
  readonly value: number;
}

/** Solves along the path; `model` is the problem as a quadratic. stats: `iterations` of conjugate gradients, `rounds`. */
export async function shrinkPath(problem: Problem, model: QuadraticModel, ctx: RunContext): Promise<Solution> {
  const { constraint, regrowFraction = 0 } = problem;
  const pace = model.productCost <= cheapProduct * model.dim ? manyProducts : fewProducts;
  const score = saliency(model);
  const keep = bestSupport(problem, score(model.w0)).columns.length;
  const start = keptPlaces(model.w0);
  const atZero = await residualAtZero(model, start);
  let walker: Walker = { u: model.w0.slice(), columns: start, iterations: 0, value: 0, atZero };
  const atTarget = walker.columns.length <= keep;
  if (atTarget && regrowFraction > 0) {
    const candidates = await grow(model, walker, { count: Math.max(1, Math.floor(regrowFraction * keep)), problem });
    walker = await walkOn(model, { ...walker, columns: candidates }, { ...pace, iterations: pace.swap }, ctx);
  }
  const excess = walker.columns.length / Math.max(1, keep);
  const rounds = atTarget ? [constraint] : shrinking(constraint, excess, pace);
  let support: Support | undefined;
  const trace: number[] = [];
  for (const [index, wider] of rounds.entries()) {
    support = bestSupport({ units: problem.units, constraint: wider }, score(walker.u));
    const u = zeros(model.dim, model.dtype);
    for (const j of support.columns) u[j] = walker.u[j]!;
    const fit = index < rounds.length - 1 ? pace.round : pace.last;
    const iterations = atTarget ? pace.swap : fit;
    walker = await walkOn(model, { ...walker, u, columns: support.columns }, { ...pace, iterations }, ctx);
    trace.push(walker.value);
    await ctx.tick({ task: "solve", done: index + 1, total: rounds.length, values: { objective: trace[index]! } });
  }
  const { u: w, iterations } = walker;
  return solutionFrom(problem, {
    w,
    mask: support!.mask,
    status: "converged",
    stats: { iterations, rounds: rounds.length },
    trace,
  });
}

/** Ever tighter constraints, the last one the constraint itself; `excess` = weights now / weights to keep. */
function shrinking(constraint: Constraint, excess: number, { ratio }: Pace): readonly Constraint[] {
  const rounds = constraint.relax ? Math.max(1, Math.ceil(Math.log(excess) / Math.log(ratio) - 1e-9)) : 1;
  return Array.from({ length: rounds }, (_, i) =>
    i === rounds - 1 ? constraint : constraint.relax!(excess ** (1 - (i + 1) / rounds)),
  );
}

/**
 * Scores of weights u, M_j u_j^2 over the largest M and u^2, which f32 holds whatever the scale of weights and gradients, and below everything where u is
 * 0: such a weight is taken only when nothing else is left.
 */
function saliency({ columnNormsSquared, scale, damping, dim: size, dtype }: QuadraticModel): (u: Vec) => Vec {
  const norms = columnNormsSquared();
  const most = scale * largestOf(norms) + damping || 1;
  const bends = norms.map((norm) => (scale * norm + damping) / most);
  return (u) => {
    const largest = largestOf(u) || 1;
    const score = zeros(size, dtype);
    for (let j = 0; j < size; j++) score[j] = u[j] === 0 ? -1 : bends[j]! * (u[j]! / largest) ** 2;
    return score;
  };
}

/** The support and the `count` pruned weights of greatest g_j^2 / M_j, among those the constraint could keep. */
async function grow(
  model: QuadraticModel,
  { u, columns }: Walker,
  spec: { count: number; problem: Problem },
): Promise<Uint32Array> {
  const { dim: size, scale, damping, dtype, kernels } = model;
  const slope = zeros(size, dtype);
  // At the weights that the model was taken at nothing has moved yet.
  if (model.offset) await gradientAt(model, await pointAt(model, u), slope);
  else if (model.gradient) slope.set(model.gradient);
  const norms = model.columnNormsSquared();
  const score = zeros(size, dtype);
  const eligible = spec.problem.constraint.count?.eligible;
  for (let j = 0; j < size; j++) {
    const bend = scale * norms[j]! + damping;
    score[j] = eligible?.[j] === 0 || bend === 0 ? Number.NEGATIVE_INFINITY : slope[j]! ** 2 / bend;
  }
  for (const j of columns) score[j] = Number.POSITIVE_INFINITY;
  const best = kernels.largest(score, Math.min(size, columns.length + spec.count));
  return best.filter((j) => score[j] !== Number.NEGATIVE_INFINITY);
}

/** offset - G w0; where few weights are left, by a product over those. */
async function residualAtZero(model: QuadraticModel, columns: Uint32Array): Promise<Vec> {
  const { kernels, offset, w0, dim: size } = model;
  const residual = zeros(model.rows, model.dtype);
  const negative = w0.map((value) => -value);
  if (columns.length > size / 2) await model.times(negative, residual);
  else if (columns.length > 0) {
    await withModelOver(model, columns, (inner) => inner.times(pick(negative, columns), residual));
  }
  if (offset) kernels.axpy(1, offset, residual);
  return residual;
}

/** A few conjugate-gradient steps on Q over the columns, from u, which is 0 elsewhere. */
async function walkOn(
  model: QuadraticModel,
  walker: Walker,
  { iterations: maxIterations, tolerance }: Pick<Pace, "tolerance"> & { iterations: number },
  ctx: RunContext,
): Promise<Walker> {
  const { u, columns, atZero } = walker;
  const d = zeros(model.dim, model.dtype);
  for (let j = 0; j < d.length; j++) d[j] = u[j]! - model.w0[j]!;
  if (columns.length === 0) return { ...walker, value: valueAt(model, { d, residual: atZero }) };
  return await withModelOver(model, columns, async (inner) => {
    const { value: begun, gradient } = await slopeAt({ model, inner, walker, d });
    const { offset: _inGradient, ...rest } = inner;
    const { d: moved, iterations } = await refit({ ...rest, gradient }, { form: "cg", tolerance, maxIterations }, ctx);
    // At every iterate of conjugate gradients from 0, d'Hd = -slope'd: Q falls by half of slope'd, without a product.
    const value = begun + 0.5 * model.kernels.dot(gradient, moved);
    const next = u.slice();
    for (let s = 0; s < columns.length; s++) next[columns[s]!] = u[columns[s]!]! + moved[s]!;
    return { ...walker, u: next, iterations: walker.iterations + iterations, value };
  });
}

/**
 * Q at the walker's weights and its slope over the columns. By one product with H where products are cheap, as those of Kronecker factors, whose G has
 * no shorter way over few columns; else by G and G' over the columns alone.
 */
async function slopeAt(spec: {
  model: QuadraticModel;
  inner: QuadraticModel;
  walker: Walker;
  /** u - w0 */
  d: Vec;
}): Promise<{ value: number; gradient: Vec }> {
  const { model, inner, walker, d } = spec;
  const { u, columns, atZero } = walker;
  const { kernels, dtype, scale, damping, constant } = model;
  const moved = pick(d, columns);
  const gradient = zeros(columns.length, dtype);
  if (!model.gramTimes || model.offset || model.productCost > cheapProduct * model.dim) {
    const residual = zeros(model.rows, dtype);
    await inner.times(pick(u, columns), residual);
    kernels.axpy(1, atZero, residual);
    await gradientAt(inner, { d: moved, residual }, gradient);
    return { value: valueAt(model, { d, residual }), gradient };
  }
  const bent = zeros(model.dim, dtype);
  await model.gramTimes(d, bent);
  for (let s = 0; s < columns.length; s++) {
    const slope = scale * bent[columns[s]!]! + damping * moved[s]!;
    gradient[s] = inner.gradient ? slope + inner.gradient[s]! : slope;
  }
  const linear = model.gradient ? kernels.dot(model.gradient, d) : 0;
  return { value: 0.5 * (scale * kernels.dot(d, bent) + damping * kernels.dot(d, d)) + linear + constant, gradient };
}
