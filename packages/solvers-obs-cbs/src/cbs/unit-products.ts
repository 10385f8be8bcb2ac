/**
 * w_a' H_ab w_b of units a and b (single weights, or groups of them), which is all that CBS-S needs of H. For groups there are three ways, by what the curvature offers:
 *   columns      u_a = G_a w_a [n], then scale u_a'u_b + damping w_a'w_b: as many columns as there are units;
 *   column Gram  of all weights of the units, summed over each pair: for few weights together;
 *   products     H w_a over the weights of the units, then its inner products with w_b: for many weights whose rows exist only as products.
 */
import {
  type FactorView,
  type Kernels,
  type Mat,
  matrix,
  type RunContext,
  type Units,
  type Vec,
  zeros,
} from "@secateur/core";
import { eachColumnTile, hasColumns, restrictView, withScratch, writeCurvature } from "@secateur/core/linalg";

/** What products of units are taken of. */
export interface UnitProblem {
  readonly view: FactorView;
  readonly kernels: Kernels;
  readonly units: Units;
  /** [p] */
  readonly w: Vec;
}

/** Columns gathered at a time, and weights of a pool whose Gram matrix is taken whole: 16 MB in f32. */
const mostTogether = 2048;
/** Weights whose Gram matrix is taken together for the diagonal of several groups: entries between groups are made for nothing. */
const batchOfGrams = 64;
/** Multiply-adds behind an entry of such a Gram matrix: one of Kronecker factors has 1, a Gauss-Newton matrix its rows, thousands. */
const cheapEntry = 16;

/**
 * w_u' H_uu w_u of every unit [units.count], f64: exact for single weights, over stored rows, for groups of 64 weights and more, and for smaller ones where entries of H
 * are cheap. For small groups of a curvature that is products alone it is the sum of H_jj w_j^2, which leaves out what a group's own weights have to do with one another.
 * One pass over stored rows, or a product over a group's own weights for each group.
 */
export async function ownProducts(problem: UnitProblem, ctx: RunContext): Promise<Float64Array> {
  const { view, units, w } = problem;
  const norms = view.columnNormsSquared();
  const each = Float64Array.from(w, (value, j) => (view.scale * norms[j]! + view.damping) * value * value);
  if (units.perWeight) return each;
  const out = Float64Array.from(units.reduce(each));
  const isExact = hasColumns(view) || (view.columnGram && (view.columnGramCost ?? view.rows) <= cheapEntry);
  let batch: { readonly unit: number; readonly group: Uint32Array }[] = [];
  let together = 0;
  const take = async (): Promise<void> => {
    if (batch.length === 0) return;
    const groups = batch.map(({ group }) => group);
    const energies = hasColumns(view)
      ? await energiesOfImages(problem, groups)
      : diagonal(await byColumnGram(problem, groups));
    batch.forEach(({ unit }, g) => {
      out[unit] = energies[g]!;
    });
    [batch, together] = [[], 0];
    await ctx.tick({ task: "solve", done: 0 });
  };
  for (let unit = 0; unit < units.count; unit++) {
    const group = units.indices(unit);
    if (group.length < 2) continue;
    if (group.length >= batchOfGrams && !hasColumns(view)) {
      out[unit] = await energyOfProduct(problem, group);
      await ctx.tick({ task: "solve", done: 0 });
    } else if (isExact) {
      if (together + group.length > (hasColumns(view) ? mostTogether : batchOfGrams)) await take();
      batch.push({ unit, group });
      together += group.length;
    }
  }
  await take();
  return out;
}

/** B over some units [c, c]: w_a' H_ab w_b, f64. */
export async function unitBlock(problem: UnitProblem, members: Uint32Array, ctx: RunContext): Promise<Float64Array> {
  const { view, units, kernels, w } = problem;
  const c = members.length;
  if (units.perWeight) {
    const B = new Float64Array(c * c);
    await writeCurvature({ view, columns: members, out: matrix(c, c, B), kernels });
    const weights = Float64Array.from(members, (j) => w[j]!);
    for (let s = 0; s < c; s++) for (let t = 0; t < c; t++) B[s * c + t]! *= weights[s]! * weights[t]!;
    return B;
  }
  const groups = Array.from(members, (unit) => units.indices(unit));
  if (hasColumns(view)) return byImages(problem, groups);
  const together = groups.reduce((sum, { length }) => sum + length, 0);
  if (view.columnGram !== undefined && together <= mostTogether) return byColumnGram(problem, groups);
  return byProducts(problem, groups, ctx);
}

/** Weights of some groups, ascending, and the group of each. */
function joined(groups: readonly Uint32Array[]): { columns: Uint32Array; owner: Uint32Array } {
  const c = groups.length;
  const keys = new Float64Array(groups.reduce((sum, { length }) => sum + length, 0));
  let place = 0;
  // Below 2^53: weights times groups.
  for (const [g, group] of groups.entries()) for (const j of group) keys[place++] = j * c + g;
  keys.sort();
  return {
    columns: Uint32Array.from(keys, (key) => Math.floor(key / c)),
    owner: Uint32Array.from(keys, (key) => key % c),
  };
}

/** U = G_a w_a [n, groups], summed in f64. */
async function imagesOf({ view, kernels, w }: UnitProblem, groups: readonly Uint32Array[]): Promise<Mat> {
  const { columns, owner } = joined(groups);
  const c = groups.length;
  const U = matrix(view.rows, c, new Float64Array(view.rows * c));
  if (!hasColumns(view)) return U;
  const weights = Float64Array.from(columns, (j) => w[j]!);
  await eachColumnTile({ view, columns, dtype: view.dtype, kernels }, ({ data, rows, cols }, start) => {
    for (let i = 0; i < rows; i++) {
      for (let s = 0; s < cols; s++) U.data[i * c + owner[start + s]!]! += weights[start + s]! * data[i * cols + s]!;
    }
  });
  return U;
}

async function energiesOfImages(problem: UnitProblem, groups: readonly Uint32Array[]): Promise<Float64Array> {
  const { view, w } = problem;
  const { data, rows, cols } = await imagesOf(problem, groups);
  const out = Float64Array.from(groups, (group) => view.damping * squares(group, w));
  for (let i = 0; i < rows; i++) for (let g = 0; g < cols; g++) out[g]! += view.scale * data[i * cols + g]! ** 2;
  return out;
}

async function byImages(problem: UnitProblem, groups: readonly Uint32Array[]): Promise<Float64Array> {
  const { view, kernels, w } = problem;
  const c = groups.length;
  const images = await imagesOf(problem, groups);
  return withScratch(kernels, (alloc) => {
    const U = matrix(view.rows, c, alloc(view.rows * c, view.dtype));
    U.data.set(images.data);
    const gram = matrix(c, c, alloc(c * c, view.dtype));
    kernels.gram({ a: U, transpose: true, out: gram, alpha: view.scale });
    const B = Float64Array.from(gram.data);
    groups.forEach((group, g) => {
      B[g * (c + 1)]! += view.damping * squares(group, w);
    });
    return B;
  });
}

async function byColumnGram({ view, kernels, w }: UnitProblem, groups: readonly Uint32Array[]): Promise<Float64Array> {
  const { columns, owner } = joined(groups);
  const [c, size] = [groups.length, columns.length];
  const weights = Float64Array.from(columns, (j) => w[j]!);
  const B = new Float64Array(c * c);
  await withScratch(kernels, async (alloc) => {
    const H = matrix(size, size, alloc(size * size, "f64"));
    await writeCurvature({ view, columns, out: H, kernels });
    for (let s = 0; s < size; s++) {
      const row = owner[s]! * c;
      for (let t = 0; t < size; t++) B[row + owner[t]!]! += weights[s]! * H.data[s * size + t]! * weights[t]!;
    }
  });
  return B;
}

async function byProducts(
  { view, kernels, w }: UnitProblem,
  groups: readonly Uint32Array[],
  ctx: RunContext,
): Promise<Float64Array> {
  const { columns, owner } = joined(groups);
  const [c, size] = [groups.length, columns.length];
  const weights = Float64Array.from(columns, (j) => w[j]!);
  const B = new Float64Array(c * c);
  const inner = restrictView(view, columns, kernels);
  try {
    const [x, out] = [zeros(size, view.dtype), zeros(size, view.dtype)];
    for (let b = 0; b < c; b++) {
      for (let s = 0; s < size; s++) x[s] = owner[s] === b ? weights[s]! : 0;
      await curvatureTimes(inner, x, out);
      for (let s = 0; s < size; s++) B[owner[s]! * c + b]! += weights[s]! * out[s]!;
      await ctx.tick({ task: "solve", done: 0 });
    }
  } finally {
    inner.release();
  }
  // Products in f32 round H_ab and H_ba differently.
  for (let a = 0; a < c; a++) {
    for (let b = 0; b < a; b++) {
      const mean = (B[a * c + b]! + B[b * c + a]!) / 2;
      B[a * c + b] = mean;
      B[b * c + a] = mean;
    }
  }
  return B;
}

async function energyOfProduct({ view, kernels, w }: UnitProblem, group: Uint32Array): Promise<number> {
  const inner = restrictView(view, group, kernels);
  try {
    const [x, out] = [zeros(group.length, view.dtype), zeros(group.length, view.dtype)];
    for (let s = 0; s < group.length; s++) x[s] = w[group[s]!]!;
    await curvatureTimes(inner, x, out);
    return kernels.dot(out, x);
  } finally {
    inner.release();
  }
}

/** out = H x */
async function curvatureTimes(view: FactorView, x: Vec, out: Vec): Promise<void> {
  if (view.gramTimes) await view.gramTimes(x, out);
  else {
    const image = zeros(view.rows, view.dtype);
    await view.times(x, image);
    await view.transposeTimes(image, out);
  }
  for (let s = 0; s < x.length; s++) out[s] = view.scale * out[s]! + view.damping * x[s]!;
}

function diagonal(B: Float64Array): Float64Array {
  const c = Math.sqrt(B.length);
  return Float64Array.from({ length: c }, (_, g) => B[g * (c + 1)]!);
}

function squares(group: Uint32Array, w: Vec): number {
  return group.reduce((sum, j) => sum + w[j]! ** 2, 0);
}
