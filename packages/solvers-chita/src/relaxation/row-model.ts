/**
 * The problem in the numbers CHITA works on: one row of weights and gradient rows G [n, p],
 *   Q(d) = scale/2 ||G d + offset||^2 + damping/2 ||d||^2 + g'd + constant,   d = w - w0,
 * so that fixing some weights (the pruned ones at zero) leaves a smaller problem of the same form.
 */
import {
  assertNeeds,
  type Dtype,
  dtypeOf,
  type FactorView,
  type Kernels,
  type Mat,
  matrix,
  type Problem,
  type Vec,
  zeros,
} from "@secateur/core";
import { onlyOneRow, sizesDiffer } from "../errors.ts";

/** A quadratic model of the loss around w0. */
export interface RowModel {
  /** n */
  readonly rows: number;
  /** p */
  readonly size: number;
  readonly scale: number;
  readonly damping: number;
  readonly dtype: Dtype;
  /** [p] */
  readonly w0: Vec;
  /** g [p]; absent = 0 */
  readonly gradient?: Vec;
  /** [n]; absent = 0 */
  readonly offset?: Vec;
  readonly constant: number;
  /** See FactorView.productCost. */
  readonly productCost: number;
  /** out [n] = G x */
  times(x: Vec, out: Vec): void | Promise<void>;
  /** out [p] = G'u */
  transposeTimes(u: Vec, out: Vec): void | Promise<void>;
  /** Writes G[:, columns] into out [n, columns.length]; columns ascending. Absent where rows exist only as products. */
  gather?(columns: Uint32Array, out: Vec): void | Promise<void>;
  /** G G' [n, n], a fresh matrix in the dtype of the weights. */
  rowGram?(): Mat | Promise<Mat>;
  /** Products with G[:, columns] (ascending) that cost less than with all of G. */
  narrow?(columns: Uint32Array): Products;
  /** ||G_j||^2 [p] */
  columnNormsSquared(): Float64Array;
  readonly kernels: Kernels;
}

/** Products with some columns of G. */
export interface Products {
  readonly productCost: number;
  times(x: Vec, out: Vec): void | Promise<void>;
  transposeTimes(u: Vec, out: Vec): void | Promise<void>;
  release(): void;
}

/** Poses a problem as a row model, in the dtype of its weights. @throws ERR_INCOMPATIBLE for more than one row of weights */
export function rowModel(problem: Problem, kernels: Kernels): RowModel {
  assertNeeds("chita", { curvature: ["factor"] }, problem);
  if (problem.w.rows !== 1) throw onlyOneRow(problem.id, problem.w.rows);
  const sizes = [problem.curvature.dim, problem.gradient?.data.length ?? problem.w.cols];
  if (sizes.some((size) => size !== problem.w.cols)) throw sizesDiffer(problem.id, problem.w.cols, sizes);
  const view = problem.curvature.factor!();
  const dtype = dtypeOf(problem.w.data);
  return {
    rows: view.rows,
    size: view.dim,
    scale: view.scale,
    damping: view.damping,
    dtype,
    w0: problem.w.data,
    ...(problem.gradient ? { gradient: inDtype(problem.gradient.data, dtype) } : {}),
    constant: 0,
    productCost: view.productCost,
    times: (x, out) => view.times(x, out),
    transposeTimes: (u, out) => view.transposeTimes(u, out),
    ...(view.columns ? { gather: (columns: Uint32Array, out: Vec) => gatherFrom(view, columns, out) } : {}),
    ...(view.rowGram ? { rowGram: async () => gramInDtype(await view.rowGram!(), dtype) } : {}),
    ...(view.restricted ? { narrow: (columns: Uint32Array) => productsOf(view.restricted!(columns)) } : {}),
    columnNormsSquared: () => view.columnNormsSquared(),
    kernels,
  };
}

/** Only the products: scale and damping are the model's. */
function productsOf({ productCost, times, transposeTimes, release }: FactorView & { release(): void }): Products {
  return { productCost, times, transposeTimes, release };
}

async function gatherFrom(view: FactorView, columns: Uint32Array, out: Vec): Promise<void> {
  const data = dtypeOf(out) === view.dtype ? out : zeros(out.length, view.dtype);
  await view.columns!(columns, matrix(view.rows, columns.length, data));
  if (data !== out) out.set(data);
}

function gramInDtype(gram: Mat, dtype: Dtype): Mat {
  return { ...gram, data: inDtype(gram.data, dtype) };
}

/** A row model over some of the weights, and what it owns. */
export interface Restriction {
  readonly model: RowModel;
  /** Frees what was set up for it. */
  release(): void;
}

/**
 * The model over the weights in `columns`, all others pruned (w = 0). One product with G for the offset. Products run on
 * whichever is cheapest: the gathered columns of G (n * columns.length numbers), the view's own, or all of G.
 *
 * @param columns - indices of weights, ascending
 */
export async function restrict(model: RowModel, columns: Uint32Array): Promise<Restriction> {
  const { rows, kernels, dtype } = model;
  // d of the weights outside is -w0.
  const outside = model.w0.slice();
  for (const j of columns) outside[j] = 0;
  for (let j = 0; j < outside.length; j++) outside[j] = -outside[j]!;
  const offset = zeros(rows, dtype);
  await model.times(outside, offset);
  if (model.offset) kernels.axpy(1, model.offset, offset);
  const { release, ...products } = await narrowed(model, columns);
  return {
    model: {
      ...overColumns(model, columns),
      ...products,
      ...(model.gradient ? { gradient: pick(model.gradient, columns) } : {}),
      offset,
      constant:
        model.constant +
        0.5 * model.damping * kernels.dot(outside, outside) +
        (model.gradient ? kernels.dot(model.gradient, outside) : 0),
    },
    release,
  };
}

/** Runs `work` on the model over the columns, all others pruned, and frees what it took, also when it throws. */
export async function withRestricted<T>(
  model: RowModel,
  columns: Uint32Array,
  work: (inner: RowModel) => T | Promise<T>,
): Promise<T> {
  const { model: inner, release } = await restrict(model, columns);
  try {
    return await work(inner);
  } finally {
    release();
  }
}

/** The parts of a model that only have to be looked up for some of its weights. No offset, no gradient. */
export function overColumns(
  model: RowModel,
  columns: Uint32Array,
): Omit<RowModel, keyof Products | "offset" | "gradient"> {
  const { rows, scale, damping, dtype, kernels, constant, gather, narrow } = model;
  const norms = model.columnNormsSquared();
  const outer = (inner: Uint32Array): Uint32Array => inner.map((s) => columns[s]!);
  return {
    rows,
    size: columns.length,
    scale,
    damping,
    dtype,
    w0: pick(model.w0, columns),
    constant,
    ...(gather ? { gather: (inner: Uint32Array, out: Vec) => gather(outer(inner), out) } : {}),
    ...(gather ? { rowGram: () => columnGram(model, columns) } : {}),
    ...(narrow ? { narrow: (inner: Uint32Array) => narrow(outer(inner)) } : {}),
    columnNormsSquared: () => Float64Array.from(columns, (j) => norms[j]!),
    kernels,
  };
}

/** Entries of gathered columns, beyond which products run on all of G: 256 MB of f32 beside rows that may fill the memory. */
const mostGathered = 2 ** 26;

/** Products over some columns, in the cheapest way there is. */
export async function narrowed(model: RowModel, columns: Uint32Array): Promise<Products> {
  const { rows, kernels, dtype, gather, narrow, size } = model;
  const cols = columns.length;
  if (gather && rows * cols <= Math.min(model.productCost, mostGathered)) {
    const G = matrix(rows, cols, kernels.alloc(rows * cols, dtype));
    await gather(columns, G.data);
    return {
      productCost: rows * cols,
      times: (x, out) => kernels.gemv({ a: G, x, out }),
      transposeTimes: (u, out) => kernels.gemv({ a: G, transpose: true, x: u, out }),
      release: () => kernels.free(G.data),
    };
  }
  if (narrow) return narrow(columns);
  const full = zeros(size, dtype);
  return {
    productCost: model.productCost,
    times(x, out) {
      full.fill(0);
      for (let s = 0; s < cols; s++) full[columns[s]!] = x[s]!;
      return model.times(full, out);
    },
    async transposeTimes(u, out) {
      await model.transposeTimes(u, full);
      for (let s = 0; s < cols; s++) out[s] = full[columns[s]!]!;
    },
    release: () => {},
  };
}

/** Columns gathered at a time when a Gram matrix over some of them is summed. */
const gramTile = 2048;

/** G_S G_S' [n, n] over the given columns, n^2 |S| / 2 multiply-adds. The model must be able to gather. */
export async function columnGram({ kernels, rows, dtype, gather }: RowModel, columns: Uint32Array): Promise<Mat> {
  const gram = matrix(rows, rows, kernels.alloc(rows * rows, dtype));
  const tile = Math.min(gramTile, columns.length);
  const buffer = kernels.alloc(rows * tile, dtype);
  for (let start = 0; start < columns.length; start += tile) {
    const part = columns.subarray(start, start + tile);
    const gathered = buffer.subarray(0, rows * part.length);
    await gather!(part, gathered);
    kernels.gram({ a: matrix(rows, part.length, gathered), out: gram, beta: 1 });
  }
  kernels.free(buffer);
  return gram;
}

/** Where a model stands: the displacement d [p] and the residual G d + offset [n]. */
export interface Point {
  readonly d: Vec;
  readonly residual: Vec;
}

/** The point of weights w [p]. One product with G. */
export async function pointAt(model: RowModel, w: Vec): Promise<Point> {
  const d = zeros(model.size, model.dtype);
  for (let j = 0; j < d.length; j++) d[j] = w[j]! - model.w0[j]!;
  const residual = zeros(model.rows, model.dtype);
  await model.times(d, residual);
  if (model.offset) model.kernels.axpy(1, model.offset, residual);
  return { d, residual };
}

/** Q at a point, accumulated in f64. */
export function valueAt(model: RowModel, { d, residual }: Point): number {
  const { kernels, scale, damping, gradient, constant } = model;
  const linear = gradient ? kernels.dot(gradient, d) : 0;
  return 0.5 * (scale * kernels.dot(residual, residual) + damping * kernels.dot(d, d)) + linear + constant;
}

/** out [p] = dQ/dd = scale G'(G d + offset) + damping d + g. One product with G'. */
export async function gradientAt(model: RowModel, { d, residual }: Point, out: Vec): Promise<void> {
  const { scale, damping, gradient } = model;
  await model.transposeTimes(residual, out);
  for (let j = 0; j < out.length; j++) out[j] = scale * out[j]! + damping * d[j]! + (gradient ? gradient[j]! : 0);
}

function inDtype(values: Vec, dtype: Dtype): Vec {
  if (dtypeOf(values) === dtype) return values;
  return dtype === "f64" ? Float64Array.from(values) : Float32Array.from(values);
}

/** values[columns] */
export function pick(values: Vec, columns: Uint32Array): Vec {
  const out = values.slice(0, columns.length);
  for (let s = 0; s < columns.length; s++) out[s] = values[columns[s]!]!;
  return out;
}
