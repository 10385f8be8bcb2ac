/**
 * The problem in the numbers CHITA works on: one row of weights and gradient rows G [n, p],
 *   Q(d) = scale/2 ||G d + offset||^2 + damping/2 ||d||^2 + g'd + constant,   d = w - w0,
 * so that fixing some weights (the pruned ones at zero) leaves a smaller problem of the same form.
 */
import { type Dtype, dtypeOf, type Kernels, type Mat, matrix, type Problem, type Vec } from "@secateur/core";
import { onlyOneRow } from "./errors.ts";

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
  /** Writes G[:, columns] into out [n, columns.length]; columns ascending. */
  gather(columns: Uint32Array, out: Vec): void | Promise<void>;
  /** G G' [n, n], a fresh matrix in the dtype of the weights. */
  rowGram(): Mat | Promise<Mat>;
  /** ||G_j||^2 [p] */
  columnNormsSquared(): Float64Array;
  readonly kernels: Kernels;
}

/** Poses a problem as a row model, in the dtype of its weights. @throws ERR_INCOMPATIBLE for more than one row of weights */
export function rowModel(problem: Problem, kernels: Kernels): RowModel {
  if (problem.w.rows !== 1) throw onlyOneRow(problem.id, problem.w.rows);
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
    async gather(columns, out) {
      const data = dtypeOf(out) === view.dtype ? out : vector(out.length, view.dtype);
      await view.columns(columns, matrix(view.rows, columns.length, data));
      if (data !== out) out.set(data);
    },
    async rowGram() {
      const gram = await view.rowGram();
      return { ...gram, data: inDtype(gram.data, dtype) };
    },
    columnNormsSquared: () => view.columnNormsSquared(),
    kernels,
  };
}

/** A row model over some of the weights, and what it owns. */
export interface Restriction {
  readonly model: RowModel;
  /** Frees the gathered columns. */
  release(): void;
}

/**
 * The model over the weights in `columns`, all others pruned (w = 0). Its columns of G are gathered into one dense matrix:
 * n * columns.length numbers, and one product with G for the offset.
 *
 * @param columns - indices of weights, ascending
 */
export async function restrict(model: RowModel, columns: Uint32Array): Promise<Restriction> {
  const { rows, kernels, dtype } = model;
  const cols = columns.length;
  const G = matrix(rows, cols, kernels.alloc(rows * cols, dtype));
  await model.gather(columns, G.data);
  // d of the weights outside is -w0.
  const outside = model.w0.map((value) => -value);
  for (const j of columns) outside[j] = 0;
  const offset = vector(rows, dtype);
  await model.times(outside, offset);
  if (model.offset) kernels.axpy(1, model.offset, offset);
  const norms = model.columnNormsSquared();
  return {
    model: {
      ...model,
      size: cols,
      w0: pick(model.w0, columns),
      ...(model.gradient ? { gradient: pick(model.gradient, columns) } : {}),
      offset,
      constant:
        model.constant +
        0.5 * model.damping * kernels.dot(outside, outside) +
        (model.gradient ? kernels.dot(model.gradient, outside) : 0),
      productCost: rows * cols,
      times: (x, out) => kernels.gemv({ a: G, x, out }),
      transposeTimes: (u, out) => kernels.gemv({ a: G, transpose: true, x: u, out }),
      gather: (inner, out) => kernels.gatherColumns(G, inner, matrix(rows, inner.length, out)),
      rowGram() {
        const gram = matrix(rows, rows, vector(rows * rows, dtype));
        kernels.gram({ a: G, out: gram });
        return gram;
      },
      columnNormsSquared: () => Float64Array.from(columns, (j) => norms[j]!),
    },
    release: () => kernels.free(G.data),
  };
}

/** Where a model stands: the displacement d [p] and the residual G d + offset [n]. */
export interface Point {
  readonly d: Vec;
  readonly residual: Vec;
}

/** The point of weights w [p]. One product with G. */
export async function pointAt(model: RowModel, w: Vec): Promise<Point> {
  const d = vector(model.size, model.dtype);
  for (let j = 0; j < d.length; j++) d[j] = w[j]! - model.w0[j]!;
  const residual = vector(model.rows, model.dtype);
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

/** A zero vector. */
export function vector(length: number, dtype: Dtype): Vec {
  return dtype === "f64" ? new Float64Array(length) : new Float32Array(length);
}

function inDtype(values: Vec, dtype: Dtype): Vec {
  if (dtypeOf(values) === dtype) return values;
  return dtype === "f64" ? Float64Array.from(values) : Float32Array.from(values);
}

function pick(values: Vec, columns: Uint32Array): Vec {
  const out = values.slice(0, columns.length);
  for (let s = 0; s < columns.length; s++) out[s] = values[columns[s]!]!;
  return out;
}
