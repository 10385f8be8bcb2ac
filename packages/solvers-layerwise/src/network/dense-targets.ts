/**
 * Layers that are to give what they give in the dense model: with x the inputs of a layer after those before it were pruned and z the dense
 * model's, the error of a row r of weights is
 *   mean of 1/2 (r'x - u'z)^2 = 1/2 d'Hd + g'd + c,  d = r - w,  H = mean xx',  C = mean xz',  Z = mean zz',  g = H w - C u,
 * a layer's problem with a slope, w its weights now and u those of the dense model (in a first stage the same). Source: the mixed objective of 3BASiL (Makni et al. 2025, section 3) without its term in the own outputs.
 */
import { type DenseMoments, type Kernels, type LayerCurvature, type Mat, matrix } from "@secateur/core";

/** g of every row [rows, inputs] f64, from w and u [rows, inputs]. Time: 2 rows inputs^2. */
export function denseSlope(
  { w, u, layer, dense }: { w: Mat; u: Mat; layer: LayerCurvature; dense: DenseMoments },
  kernels: Kernels,
): Mat {
  const { curvature, damping } = layer;
  const slope = product(w, curvature.gram!(), kernels);
  const target = product(u, dense.cross, kernels, true);
  for (let i = 0; i < slope.data.length; i++) slope.data[i]! -= damping * w.data[i]! + target.data[i]!;
  return slope;
}

/**
 * How far a layer's outputs with weights that are given then are from the dense model's: the error above over 1/2 tr(U Z U'); 0 where the dense outputs are
 * 0. Time: 2 rows inputs^2, and rows inputs^2 for each of them.
 */
export function denseErrors(
  { u, layer, dense }: { u: Mat; layer: LayerCurvature; dense: DenseMoments },
  kernels: Kernels,
): (found: Mat) => number {
  const { curvature, damping } = layer;
  const target = product(u, dense.cross, kernels, true);
  const traceOf = (a: Mat, m: Mat): number => kernels.dot(product(a, m, kernels).data, Float64Array.from(a.data));
  const whole = traceOf(u, dense.own);
  return (found) => {
    // tr(R H R') - 2 tr(R C U') + tr(U Z U')
    const own = Float64Array.from(found.data);
    const square = traceOf(found, curvature.gram!()) - damping * kernels.dot(own, own);
    return whole > 0 ? Math.max(0, square - 2 * kernels.dot(own, target.data) + whole) / whole : 0;
  };
}

/** a m, or a m', in f64. */
export function product(a: Mat, m: Mat, kernels: Kernels, transposeB = false): Mat {
  const out = matrix(a.rows, m.cols, new Float64Array(a.rows * m.cols));
  kernels.gemm({ a: matrix(a.rows, a.cols, Float64Array.from(a.data)), b: m, transposeB, out });
  return out;
}
