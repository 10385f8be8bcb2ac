/**
 * What the methods of this package solve, written out: with r a row of new weights, w0 the dense one and g the slope,
 *   Q = sum over rows of 1/2 (r - w0)'H (r - w0) + g'(r - w0) = sum over rows of 1/2 r'H r - b'r + constant,  b = H w0 - g.
 * Departures from the papers: an input that is always 0 gets a curvature of its own (the mean one) and weight 0, as in the
 * published OBC; where H is singular at working precision the smallest ridge that makes it factorable is added, on the search
 * only: Q is reported without it.
 */
import { type Kernels, type Mat, matrix, type Problem, type RunContext, type Vec } from "@secateur/core";
import { negativeDirection, notFiniteCurvature, notSemidefinite, notSymmetric, tooManyInputs } from "../errors.ts";

/** A layer's problem in f64, in kernel memory until `release`. */
export interface LayerProblem {
  readonly id: string;
  /** Rows of weights, outputs of the layer. */
  readonly rows: number;
  /** Weights a row, inputs of the layer. */
  readonly cols: number;
  /** H [cols, cols] with `ridge` on its diagonal, positive definite. */
  readonly H: Mat;
  /** L [cols, cols] lower triangular with L L' = H. */
  readonly L: Mat;
  /** H w0' - g [rows, cols], with the ridge. */
  readonly B: Mat;
  /** w0 [rows, cols], 0 where the input is always 0. */
  readonly dense: Mat;
  /** Where H is exact: its own diagonal [cols] before ridge and dead inputs. */
  readonly diagonal: Float64Array;
  /** Inputs that are always 0. */
  readonly dead: number;
  /** What was added to the diagonal so that H could be factored, >= 0. */
  readonly ridge: number;
  /** 1/2 w0'H w0 summed over rows, without the ridge: the energy of the dense outputs. */
  readonly energy: number;
  /** Q of weights [rows, cols] f64, without the ridge. */
  objective(w: Mat): number;
  release(): void;
}

/** The most inputs of a layer: 2 GiB a matrix. */
const mostInputs = 16384;
/** Ridges tried, in means of the diagonal; sums of f32 products are off by about 1e-6 of it. */
const ridges = [0, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4];
/** How far H may be from its transpose, relative to the diagonal: f32 sums in another order. */
const asymmetry = 1e-4;
/** Columns compared with their rows at a time. */
const tile = 16;

/**
 * Writes a problem out. Time: cols products with H where the curvature has no `gram`, rows cols^2 + cols^3 / 6 multiply-adds.
 * Memory: 16 cols^2 + 16 rows cols bytes.
 *
 * @throws ERR_IMPOSSIBLE (too many inputs), ERR_NOT_FINITE, ERR_NOT_SYMMETRIC, ERR_NOT_SEMIDEFINITE
 */
export async function layerProblem(problem: Problem, ctx: RunContext): Promise<LayerProblem> {
  const { id, w } = problem;
  const { cols } = w;
  const { kernels } = ctx;
  if (cols > mostInputs) throw tooManyInputs(id, cols, mostInputs);
  const owned: Vec[] = [];
  const take = (length: number): Vec => {
    const vector = kernels.alloc(length, "f64");
    owned.push(vector);
    return vector;
  };
  const release = (): void => {
    for (const vector of owned.splice(0)) kernels.free(vector);
  };
  try {
    return { ...(await pose(problem, take, ctx)), release };
  } catch (error) {
    release();
    throw error;
  }
}

/** What `release` gives back is taken with `take`. */
async function pose(
  problem: Problem,
  take: (length: number) => Vec,
  ctx: RunContext,
): Promise<Omit<LayerProblem, "release">> {
  const { id, w, gradient } = problem;
  const { rows, cols } = w;
  const { kernels } = ctx;
  const H = matrix(cols, cols, take(cols * cols));
  await writeOut(problem, H, kernels);
  const diagonal = Float64Array.from({ length: cols }, (_, j) => H.data[j * cols + j]!);
  const mean = diagonal.reduce((sum, value) => sum + value, 0) / cols || 1;
  const isDead = Uint8Array.from(diagonal, (value) => (value > 0 ? 0 : 1));
  for (let j = 0; j < cols; j++) if (isDead[j] === 1) killInput(H, j, { id, mean });
  const L = matrix(cols, cols, take(cols * cols));
  const ridge = factor({ H, L, mean, id, kernels });
  const dense = matrix(rows, cols, take(rows * cols));
  for (let i = 0; i < dense.data.length; i++) dense.data[i] = isDead[i % cols] === 1 ? 0 : w.data[i]!;
  const B = matrix(rows, cols, take(rows * cols));
  kernels.gemm({ a: dense, b: H, out: B });
  const energy = 0.5 * (kernels.dot(dense.data, B.data) - ridge * kernels.dot(dense.data, dense.data));
  if (gradient) for (let i = 0; i < B.data.length; i++) B.data[i]! -= gradient.data[i]!;
  const dead = isDead.reduce((sum, bit) => sum + bit, 0);
  if (ridge > 0) {
    const message = `${id}: H is singular at working precision; ${ridge.toExponential(2)} was added to its diagonal while searching (more calibration examples, or damping, avoid it)`;
    ctx.report({ type: "note", level: "warn", code: "curvature-singular", message });
  }
  return {
    ...{ id, rows, cols, H, L, B, dense, diagonal, dead, ridge, energy },
    objective: (found) => objectiveOf({ found, w, H, isDead, ridge, gradient, kernels }),
  };
}

/** Writes H [cols, cols] f64, exactly symmetric. */
async function writeOut({ id, curvature }: Problem, H: Mat, kernels: Kernels): Promise<void> {
  const { cols } = H;
  const given = curvature.gram?.();
  if (given) H.data.set(given.data);
  else {
    const unit = new Float64Array(cols);
    const column = new Float64Array(cols);
    for (let j = 0; j < cols; j++) {
      unit[j] = 1;
      await curvature.apply(unit, column);
      unit[j] = 0;
      H.data.set(column, j * cols);
    }
  }
  // One product tells that all are finite; only squares beyond f64 and what is not finite are looked for one by one.
  const bad = Number.isFinite(kernels.dot(H.data, H.data))
    ? -1
    : H.data.findIndex((value: number) => !Number.isFinite(value));
  if (bad >= 0) throw notFiniteCurvature(id, bad, H.data[bad]!);
  symmetrise(id, H);
}

function symmetrise(id: string, { cols, data }: Mat): void {
  let largest = 0;
  for (let j = 0; j < cols; j++) largest = Math.max(largest, Math.abs(data[j * cols + j]!));
  // Tile by tile, since columns are far apart in memory.
  for (let first = 0; first < cols; first += tile) {
    for (let i = 0; i < cols; i++) {
      for (let j = first; j < Math.min(first + tile, i); j++) {
        const value = data[i * cols + j]!;
        const mirrored = data[j * cols + i]!;
        if (value === mirrored) continue;
        if (Math.abs(value - mirrored) > asymmetry * largest) {
          throw notSymmetric({ problem: id, row: i, column: j, value, mirrored });
        }
        data[i * cols + j] = data[j * cols + i] = (value + mirrored) / 2;
      }
    }
  }
}

/** @throws ERR_NOT_SEMIDEFINITE where a diagonal entry of 0 or less is more than an input that is always 0 */
function killInput({ cols, data }: Mat, j: number, { id, mean }: { id: string; mean: number }): void {
  const own = data[j * (cols + 1)]!;
  for (let i = 0; i < cols; i++) {
    const value = data[i * cols + j]!;
    // An input that is nearly 0 has products that are not 0 where its square underflows.
    if (Math.abs(value) > asymmetry * Math.abs(mean)) {
      throw negativeDirection({ problem: id, row: i, column: j, value, diagonal: own });
    }
  }
  for (let i = 0; i < cols; i++) data[i * cols + j] = data[j * cols + i] = 0;
  data[j * cols + j] = mean;
}

/** Writes L with L L' = H + ridge I; the ridge stays on H. Returns it. */
function factor(spec: { H: Mat; L: Mat; mean: number; id: string; kernels: Kernels }): number {
  const { H, L, mean, id, kernels } = spec;
  const { cols } = H;
  let [ridge, pivot] = [0, -1];
  for (const share of ridges) {
    const more = share * mean - ridge;
    ridge = share * mean;
    for (let j = 0; j < cols; j++) H.data[j * cols + j]! += more;
    L.data.set(H.data);
    pivot = kernels.cholesky(L);
    // A pivot that is only the rounding of its diagonal entry says as little as a negative one.
    const isLost = (j: number): boolean =>
      L.data[j * cols + j]! ** 2 <= 8 * cols * Number.EPSILON * H.data[j * cols + j]!;
    if (pivot < 0) for (let j = 0; j < cols && pivot < 0; j++) if (isLost(j)) pivot = j;
    if (pivot < 0) return ridge;
  }
  throw notSemidefinite(id, pivot, ridges.at(-1)!);
}

function objectiveOf(spec: {
  found: Mat;
  w: Mat;
  H: Mat;
  isDead: Uint8Array;
  ridge: number;
  gradient: Mat | undefined;
  kernels: Kernels;
}): number {
  const { found, w, H, isDead, ridge, gradient, kernels } = spec;
  const { rows, cols } = w;
  const d = matrix(rows, cols, kernels.alloc(rows * cols, "f64"));
  let linear = 0;
  for (let r = 0, i = 0; r < rows; r++) {
    for (let j = 0; j < cols; j++, i++) {
      const change = found.data[i]! - w.data[i]!;
      d.data[i] = isDead[j] === 1 ? 0 : change;
      if (gradient) linear += gradient.data[i]! * change;
    }
  }
  // The sum over entries of H and d'd: half the work of a product of d and H.
  const products = matrix(cols, cols, kernels.alloc(cols * cols, "f64"));
  kernels.gram({ a: d, transpose: true, out: products });
  const square = kernels.dot(H.data, products.data) - ridge * kernels.dot(d.data, d.data);
  kernels.free(d.data);
  kernels.free(products.data);
  return 0.5 * square + linear;
}
