/**
 * The problem seen from its n rows. With A = sqrt(scale) G, y = A w0 - sqrt(scale) offset and v = w0 - g / lambda,
 *   Q(w) + g'w0 = 1/2 ||A w - y||^2 + lambda/2 ||w - w0||^2 + g'w                        (lambda = damping),
 * and ||A w - y||^2 / 2 = max over u of u'(A w - y) - ||u||^2 / 2. For fixed u every weight decouples: on the support it
 * wants to be V_j = v_j - (A'u)_j / lambda, and keeping it gains lambda/2 V_j^2. So a p-dimensional choice becomes a
 * concave problem in n numbers. The exact minimiser on a support S solves (I + A_S A_S' / lambda) u = A_S v_S - y.
 */
import { type Kernels, type Mat, matrix, type Vec, zeros } from "@secateur/core";
import {
  addRowGram,
  type ColumnView,
  factorize,
  hasColumns,
  type QuadraticModel,
  withScratch,
} from "@secateur/core/linalg";

/** A model whose rows can meet each other. */
export type RowSpaceModel = QuadraticModel & Required<Pick<ColumnView, "columns" | "rowGram">>;

/** Narrows a model to one whose rows can meet each other. */
export function hasRowGram(model: QuadraticModel): model is RowSpaceModel {
  return hasColumns(model) && model.rowGram !== undefined;
}

/** A row model and what its dual needs. */
export interface RowSpace {
  /** Has a row Gram and columns. */
  readonly model: RowSpaceModel;
  readonly kernels: Kernels;
  /** n */
  readonly rows: number;
  /** p */
  readonly size: number;
  /** The damping, or the floor where that is higher. */
  readonly lambda: number;
  /** v = w0 - g / lambda [p]: the weights that the ridge alone would give */
  readonly centre: Vec;
  /** y [n] */
  readonly target: Float64Array;
}

/**
 * Sets the stage. One product.
 *
 * @param floor - damping below this fraction of the mean squared row norm is raised to it
 */
export async function rowSpace(model: RowSpaceModel, floor: number): Promise<RowSpace> {
  const { rows, dim: size, scale, gradient, w0, dtype, kernels } = model;
  const norms = model.columnNormsSquared();
  const trace = scale * norms.reduce((sum, norm) => sum + norm, 0);
  const lambda = Math.max(model.damping, (floor * trace) / rows) || 1;
  const centre = zeros(size, dtype);
  for (let j = 0; j < size; j++) centre[j] = w0[j]! - (gradient ? gradient[j]! / lambda : 0);
  const space: RowSpace = { model, kernels, rows, size, lambda, centre, target: new Float64Array(rows) };
  await times(space, w0, space.target);
  if (model.offset) for (let i = 0; i < rows; i++) space.target[i]! -= Math.sqrt(scale) * model.offset[i]!;
  return space;
}

/** out [n] = A x */
export async function times(space: RowSpace, x: Vec, out: Float64Array): Promise<void> {
  const { model, rows } = space;
  const product = zeros(rows, model.dtype);
  await model.times(x, product);
  const root = Math.sqrt(model.scale);
  for (let i = 0; i < rows; i++) out[i] = root * product[i]!;
}

/** out [p] = A'u */
export async function transposeTimes(space: RowSpace, u: Float64Array, out: Vec): Promise<void> {
  const { model, rows } = space;
  const root = Math.sqrt(model.scale);
  const scaled = zeros(rows, model.dtype);
  for (let i = 0; i < rows; i++) scaled[i] = root * u[i]!;
  await model.transposeTimes(scaled, out);
}

/** V = v - A'u / lambda [p]. One product. */
export async function candidateWeights(space: RowSpace, u: Float64Array): Promise<Vec> {
  const { size, lambda, centre, model } = space;
  const V = zeros(size, model.dtype);
  await transposeTimes(space, u, V);
  for (let j = 0; j < size; j++) V[j] = centre[j]! - V[j]! / lambda;
  return V;
}

/** Writes A_S into out [n, columns.length], f64. */
export async function writeColumns(space: RowSpace, columns: Uint32Array, out: Vec): Promise<void> {
  const { rows, model, kernels } = space;
  await withScratch(kernels, async (alloc) => {
    const gathered = matrix(rows, columns.length, alloc(rows * columns.length, model.dtype));
    await model.columns(columns, gathered);
    const root = Math.sqrt(model.scale);
    for (let i = 0; i < out.length; i++) out[i] = root * gathered.data[i]!;
  });
}

/** G_S G_S' over some columns, in the dtype of the rows. */
export interface ColumnsGram {
  /** S, ascending. */
  readonly columns: Uint32Array;
  /** [n, n] */
  readonly gram: Mat;
}

/** Writes G_S G_S' into out [n, n]: n^2 |S| / 2 multiply-adds, or the model's own way where S is everything. */
export async function columnsGram(space: RowSpace, columns: Uint32Array, out: Mat): Promise<ColumnsGram> {
  const { kernels, model, size } = space;
  if (columns.length < size) await addRowGram({ view: model, columns, out, kernels });
  else {
    const gram = await model.rowGram();
    out.data.set(gram.data);
    kernels.free(gram.data);
  }
  return { columns, gram: out };
}

/**
 * Writes I + A_S A_S' / lambda into out [n, n], f64: n^2 / 2 multiply-adds for every column of S, or for every one in which S differs
 * from a Gram matrix that is known.
 */
export async function writeSupportGram(
  space: RowSpace,
  columns: Uint32Array,
  { out, known }: { readonly out: Mat; readonly known?: ColumnsGram | undefined },
): Promise<void> {
  const { rows, kernels, model } = space;
  const added = known && without(columns, known.columns);
  const removed = known && without(known.columns, columns);
  await withScratch(kernels, async (alloc) => {
    const sum = matrix(rows, rows, alloc(rows * rows, model.dtype));
    if (known && added!.length + removed!.length < columns.length) {
      await addRowGram({ view: model, columns: removed!, out: sum, kernels });
      // A Gram matrix is summed up below the diagonal and mirrored at the end.
      for (let i = 0; i < rows; i++) {
        for (let at = i * rows; at <= i * rows + i; at++) sum.data[at] = known.gram.data[at]! - sum.data[at]!;
      }
      await addRowGram({ view: model, columns: added!, out: sum, kernels });
    } else {
      await addRowGram({ view: model, columns, out: sum, kernels });
    }
    writeRegularised(space, sum.data, out);
  });
}

/** What is in a and not in b, both ascending. */
function without(a: Uint32Array, b: Uint32Array): Uint32Array {
  let at = 0;
  return a.filter((value) => {
    while (at < b.length && b[at]! < value) at++;
    return b[at] !== value;
  });
}

/** Writes I + scale gram / lambda into out [n, n], f64, on and below the diagonal, which is all that a factorisation reads. */
export function writeRegularised({ rows, model, lambda }: RowSpace, gram: Vec, out: Mat): void {
  const factor = model.scale / lambda;
  const M = out.data;
  for (let i = 0; i < rows; i++) {
    const diagonal = i * rows + i;
    for (let at = i * rows; at <= diagonal; at++) M[at] = factor * gram[at]!;
    M[diagonal]! += 1;
  }
}

/**
 * Replaces M = I + A_S A_S' / lambda by its Cholesky factor. No pivot counts as lost to rounding: none is below 1 but for the rounding
 * of A_S A_S' / lambda, which a higher lambda makes smaller.
 *
 * @throws ERR_SINGULAR
 */
export function factorizeRows({ model, kernels }: RowSpace, M: Mat): Mat {
  return factorize({ H: M, what: "chita: the system of the rows", damping: model.damping, rounding: 0, kernels });
}
