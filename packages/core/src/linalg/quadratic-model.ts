/**
 * One row of a problem as the quadratic it is, around weights w0 [p] with gradient rows G [n, p]:
 *   Q(d) = scale/2 ||G d + offset||^2 + damping/2 ||d||^2 + g'd + constant,   d = w - w0,
 * so that fixing some weights (the pruned ones at zero) leaves a smaller quadratic of the same form.
 */
import { shapeMismatch } from "../errors.ts";
import type { Kernels } from "../kernels/kernels.ts";
import type { FactorView } from "../problem/curvature.ts";
import { type Dtype, dtypeOf, type Mat, type Vec, zeros } from "../problem/matrix.ts";
import type { Problem } from "../problem/problem.ts";
import { pick } from "./pick.ts";
import { residentView, restrictView } from "./restrict-view.ts";

/** A quadratic model of the loss around w0: its curvature as a factor view, in the dtype of w0. */
export interface QuadraticModel extends FactorView {
  /** [dim] */
  readonly w0: Vec;
  /** g [dim]; absent = 0 */
  readonly gradient?: Vec;
  /** [rows]; absent = 0 */
  readonly offset?: Vec;
  readonly constant: number;
  readonly kernels: Kernels;
}

/**
 * Poses one row of a problem.
 *
 * @param problem - whose curvature has a factor view
 * @param spec.row - default 0
 * @param spec.dtype - to compute in; default: that of the weights
 * @throws ERR_SHAPE when weights, curvature and gradient are of different sizes
 */
export function quadraticModel(
  problem: Problem,
  spec: { readonly kernels: Kernels; readonly row?: number; readonly dtype?: Dtype },
): QuadraticModel {
  const { w, gradient, curvature, id } = problem;
  const { kernels, row = 0, dtype = dtypeOf(w.data) } = spec;
  const sizes = [curvature.dim, gradient?.cols ?? w.cols];
  if (sizes.some((size) => size !== w.cols)) {
    throw shapeMismatch({
      where: `problem '${id}'`,
      found: `${w.cols} weights a row, a curvature of ${sizes[0]} and a gradient of ${sizes[1]}`,
      expected: "three times the same number",
    });
  }
  const rowOf = ({ data }: Mat): Vec =>
    inDtype(w.rows === 1 ? data : data.subarray(row * w.cols, (row + 1) * w.cols), dtype);
  return {
    ...viewInDtype(curvature.factor!(), dtype),
    w0: rowOf(w),
    ...(gradient ? { gradient: rowOf(gradient) } : {}),
    constant: 0,
    kernels,
  };
}

/** Runs `work` on the model with its rows in kernel memory, see `residentView`, and frees them, also when it throws. */
export async function withResidentRows<T>(
  model: QuadraticModel,
  work: (resident: QuadraticModel) => T | Promise<T>,
): Promise<T> {
  const { release, ...products } = await residentView(model, model.kernels);
  try {
    return await work({ ...model, ...products });
  } finally {
    release();
  }
}

/** The view with columns and Gram matrices in the wanted dtype; products follow their vectors anyway. */
function viewInDtype(view: FactorView, dtype: Dtype): FactorView {
  const { rows, dim, scale, damping, productCost } = view;
  const converted = async (write: (out: Mat) => void | Promise<void>, out: Mat): Promise<void> => {
    if (view.dtype === dtype) return write(out);
    const data = zeros(out.data.length, view.dtype);
    await write({ ...out, data });
    out.data.set(data);
  };
  return {
    ...{ rows, dim, scale, damping, productCost, dtype },
    times: (x, out) => view.times(x, out),
    transposeTimes: (u, out) => view.transposeTimes(u, out),
    columnNormsSquared: () => view.columnNormsSquared(),
    ...(view.stored && view.dtype === dtype && { stored: view.stored }),
    ...(view.gramTimes && { gramTimes: (x, out) => view.gramTimes!(x, out) }),
    ...(view.columns && { columns: (support, out) => converted((raw) => view.columns!(support, raw), out) }),
    ...(view.columnGram && { columnGram: (support, out) => converted((raw) => view.columnGram!(support, raw), out) }),
    ...(view.columnGramCost !== undefined && { columnGramCost: view.columnGramCost }),
    ...(view.restricted && { restricted: (support) => view.restricted!(support) }),
    ...(view.rowGram && {
      async rowGram() {
        const gram = await view.rowGram!();
        return { ...gram, data: inDtype(gram.data, dtype) };
      },
    }),
  };
}

/** A model over some of the weights, and what was set up for it. */
export type RestrictedModel = QuadraticModel & { release(): void };

/** The model over the weights of a support (ascending), all others where they are: their displacement is 0. Release it. */
export function modelOver(model: QuadraticModel, support: Uint32Array): RestrictedModel {
  const { kernels, constant, w0, gradient } = model;
  return {
    ...restrictView(model, support, kernels),
    w0: pick(w0, support),
    ...(gradient ? { gradient: pick(gradient, support) } : {}),
    ...(model.offset ? { offset: model.offset } : {}),
    constant,
    kernels,
  };
}

/** Runs `work` on {@link modelOver} and frees what it took, also when it throws. */
export async function withModelOver<T>(
  model: QuadraticModel,
  support: Uint32Array,
  work: (inner: QuadraticModel) => T | Promise<T>,
): Promise<T> {
  const inner = modelOver(model, support);
  try {
    return await work(inner);
  } finally {
    inner.release();
  }
}

/** The model over the weights of a support (ascending), all others pruned (w = 0). One product with G for the offset. Release it. */
export async function prunedModel(model: QuadraticModel, support: Uint32Array): Promise<RestrictedModel> {
  const { rows, kernels, dtype, damping, gradient } = model;
  // Weights outside of the support become 0, so that their change d is -w0.
  const outside = model.w0.slice();
  for (const j of support) outside[j] = 0;
  for (let j = 0; j < outside.length; j++) outside[j] = -outside[j]!;
  const offset = zeros(rows, dtype);
  await model.times(outside, offset);
  if (model.offset) kernels.axpy(1, model.offset, offset);
  const constant =
    model.constant + 0.5 * damping * kernels.dot(outside, outside) + (gradient ? kernels.dot(gradient, outside) : 0);
  return { ...modelOver(model, support), offset, constant };
}

/** Runs `work` on {@link prunedModel} and frees what it took, also when it throws. */
export async function withPrunedModel<T>(
  model: QuadraticModel,
  support: Uint32Array,
  work: (inner: QuadraticModel) => T | Promise<T>,
): Promise<T> {
  const inner = await prunedModel(model, support);
  try {
    return await work(inner);
  } finally {
    inner.release();
  }
}

/** Where a model stands: the displacement d [dim] and the residual G d + offset [rows]. */
export interface Point {
  readonly d: Vec;
  readonly residual: Vec;
}

/** The point of weights w [dim]. One product with G. */
export async function pointAt(model: QuadraticModel, w: Vec): Promise<Point> {
  const d = zeros(model.dim, model.dtype);
  for (let j = 0; j < d.length; j++) d[j] = w[j]! - model.w0[j]!;
  const residual = zeros(model.rows, model.dtype);
  await model.times(d, residual);
  if (model.offset) model.kernels.axpy(1, model.offset, residual);
  return { d, residual };
}

/** Q at a point, accumulated in f64. */
export function valueAt(model: QuadraticModel, { d, residual }: Point): number {
  const { kernels, scale, damping, gradient, constant } = model;
  const linear = gradient ? kernels.dot(gradient, d) : 0;
  return 0.5 * (scale * kernels.dot(residual, residual) + damping * kernels.dot(d, d)) + linear + constant;
}

/** out [dim] = dQ/dd = scale G'(G d + offset) + damping d + g. One product with G'. */
export async function gradientAt(model: QuadraticModel, { d, residual }: Point, out: Vec): Promise<void> {
  const { scale, damping, gradient } = model;
  await model.transposeTimes(residual, out);
  for (let j = 0; j < out.length; j++) out[j] = scale * out[j]! + damping * d[j]! + (gradient ? gradient[j]! : 0);
}

function inDtype(values: Vec, dtype: Dtype): Vec {
  if (dtypeOf(values) === dtype) return values;
  return dtype === "f64" ? Float64Array.from(values) : Float32Array.from(values);
}
