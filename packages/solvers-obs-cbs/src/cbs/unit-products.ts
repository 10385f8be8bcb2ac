/**
 * w_a' H_ab w_b of units a and b (single weights, or groups), which is all that CBS-S needs of H. Three ways, by what the curvature offers:
 *   columns      u_a = G_a w_a [n], then scale u_a'u_b: as many columns as there are units;
 *   column Gram  of all weights of the units, summed over each pair: for few weights at a time;
 *   products     G w_a, over the weights of a alone: for units of many weights.
 */
import { type FactorView, type Kernels, type Mat, matrix, type Units, type Vec, zeros } from "@secateur/core";
import { eachColumnTile, hasColumns, restrictView, withScratch, writeCurvature } from "@secateur/core/linalg";

/** What products of units are taken of. */
export interface UnitProblem {
  readonly view: FactorView;
  readonly kernels: Kernels;
  readonly units: Units;
  /** [p] */
  readonly w: Vec;
}

/** Weights that a Gram matrix of columns is asked for at a time. */
const mostTogether = 512;
/** Weights a unit, in the mean, from which a product over them alone is worth more than its setting up. */
const leastForProducts = 64;
/** Entries of a Gram matrix of columns that cost no more than this are as good as at hand. */
const cheapEntry = 16;

/**
 * w_u' H_uu w_u of every unit [units.count], f64. One pass over stored rows; without those exact for single weights, where Gram matrices of a group's columns are
 * made from small factors, and for units of many weights; else the sum of H_jj w_j^2 over the unit, which leaves out what its own weights have to do with one another.
 */
export async function ownProducts(problem: UnitProblem): Promise<Float64Array> {
  const { view, units, w } = problem;
  const norms = view.columnNormsSquared();
  const each = Float64Array.from(w, (value, j) => (view.scale * norms[j]! + view.damping) * value * value);
  if (units.perWeight) return each;
  const all = Array.from({ length: units.count }, (_, unit) => units.indices(unit));
  if (hasColumns(view)) return energiesOf(problem, all);
  if (view.columnGram && (view.columnGramCost ?? view.rows) <= cheapEntry) return diagonalInBatches(problem, all);
  if (w.length < leastForProducts * units.count) return Float64Array.from(units.reduce(each));
  return energiesOf(problem, all);
}

/** B over some units [c, c]: w_a' H_ab w_b. */
export async function unitBlock(problem: UnitProblem, members: Uint32Array): Promise<Float64Array> {
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
  const together = groups.reduce((sum, { length }) => sum + length, 0);
  const isFew = !hasColumns(view) && view.columnGram && together <= 4 * mostTogether;
  return isFew ? byColumnGram(problem, groups) : byImages(problem, groups);
}

/** Weights of some groups, ascending, and the group of each. */
function joined(groups: readonly Uint32Array[]): { columns: Uint32Array; owner: Uint32Array } {
  const pairs = groups.flatMap((group, g) => Array.from(group, (j) => [j, g] as const)).sort(([a], [b]) => a - b);
  return { columns: Uint32Array.from(pairs, ([j]) => j), owner: Uint32Array.from(pairs, ([, g]) => g) };
}

/** Runs over batches of groups, with U = G_a w_a [n, groups of the batch]. */
async function eachImage(
  { view, kernels, w }: UnitProblem,
  groups: readonly Uint32Array[],
  visit: (U: Mat, first: number) => void,
): Promise<void> {
  if (!hasColumns(view)) return eachProduct({ view, kernels, w }, groups, visit);
  for (const [first, last] of batches(groups, 4 * mostTogether)) {
    const { columns, owner } = joined(groups.slice(first, last));
    const U = matrix(view.rows, last - first, zeros(view.rows * (last - first), view.dtype));
    await eachColumnTile({ view, columns, dtype: view.dtype, kernels }, ({ data, rows, cols }, start) => {
      for (let s = 0; s < cols; s++) {
        const [weight, g] = [w[columns[start + s]!]!, owner[start + s]!];
        for (let i = 0; i < rows; i++) U.data[i * U.cols + g]! += weight * data[i * cols + s]!;
      }
    });
    visit(U, first);
  }
}

async function eachProduct(
  { view, kernels, w }: Pick<UnitProblem, "view" | "kernels" | "w">,
  groups: readonly Uint32Array[],
  visit: (U: Mat, first: number) => void,
): Promise<void> {
  for (const [g, group] of groups.entries()) {
    const inner = restrictView(view, group, kernels);
    try {
      const [x, u] = [zeros(group.length, view.dtype), zeros(view.rows, view.dtype)];
      for (let s = 0; s < group.length; s++) x[s] = w[group[s]!]!;
      await inner.times(x, u);
      visit(matrix(view.rows, 1, u), g);
    } finally {
      inner.release();
    }
  }
}

async function energiesOf(problem: UnitProblem, groups: readonly Uint32Array[]): Promise<Float64Array> {
  const { view, w } = problem;
  const out = Float64Array.from(groups, (group) => view.damping * squares(group, w));
  await eachImage(problem, groups, ({ data, rows, cols }, first) => {
    for (let i = 0; i < rows; i++)
      for (let g = 0; g < cols; g++) out[first + g]! += view.scale * data[i * cols + g]! ** 2;
  });
  return out;
}

function byImages(problem: UnitProblem, groups: readonly Uint32Array[]): Promise<Float64Array> {
  const { view, kernels, w } = problem;
  const c = groups.length;
  return withScratch(kernels, async (alloc) => {
    const U = matrix(view.rows, c, alloc(view.rows * c, view.dtype));
    await eachImage(problem, groups, ({ data, rows, cols }, first) => {
      for (let i = 0; i < rows; i++) U.data.set(data.subarray(i * cols, (i + 1) * cols), i * c + first);
    });
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
  const H = matrix(size, size, new Float64Array(size * size));
  await writeCurvature({ view, columns, out: H, kernels });
  const B = new Float64Array(c * c);
  for (let s = 0; s < size; s++) {
    const weight = w[columns[s]!]!;
    for (let t = 0; t < size; t++) {
      B[owner[s]! * c + owner[t]!]! += weight * H.data[s * size + t]! * w[columns[t]!]!;
    }
  }
  return B;
}

async function diagonalInBatches(problem: UnitProblem, groups: readonly Uint32Array[]): Promise<Float64Array> {
  const out = new Float64Array(groups.length);
  for (const [first, last] of batches(groups, mostTogether / 8)) {
    out.set(diagonal(await byColumnGram(problem, groups.slice(first, last))), first);
  }
  return out;
}

/** Runs of groups of at most `most` weights together, or of a single group. */
function* batches(groups: readonly Uint32Array[], most: number): Generator<readonly [number, number]> {
  for (let first = 0, last = 0; first < groups.length; first = last) {
    let size = 0;
    for (last = first; last < groups.length && (last === first || size + groups[last]!.length <= most); last++) {
      size += groups[last]!.length;
    }
    yield [first, last];
  }
}

function diagonal(B: Float64Array): Float64Array {
  const c = Math.sqrt(B.length);
  return Float64Array.from({ length: c }, (_, g) => B[g * (c + 1)]!);
}

function squares(group: Uint32Array, w: Vec): number {
  return group.reduce((sum, j) => sum + w[j]! ** 2, 0);
}
