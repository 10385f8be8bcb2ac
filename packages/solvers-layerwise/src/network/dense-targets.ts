/**
 * Layers that are to give what they give in the dense model: with x the inputs of a layer after those before it were pruned and z the dense
 * model's, the error of a row r of weights is
 *   mean of 1/2 (r'x - w'z)^2 = 1/2 d'Hd + g'd + c,  d = r - w,  H = mean xx',  C = mean xz',  Z = mean zz',  g = (H - C) w,
 *   c = 1/2 w'(H - C - C' + Z) w,
 * a layer's problem with a slope. Source: the mixed objective of 3BASiL (Makni et al. 2025, section 3) without its term in the own outputs.
 */
import { type DenseMoments, type Kernels, type LayerCurvature, type Mat, matrix } from "@secateur/core";

/** g of every row [rows, inputs] f64. Time: rows inputs^2. */
export function denseSlope(
  w: Mat,
  { curvature, damping }: LayerCurvature,
  { cross }: DenseMoments,
  kernels: Kernels,
): Mat {
  const { cols } = w;
  const difference = matrix(cols, cols, Float64Array.from(curvature.gram!().data));
  for (let j = 0; j < cols; j++) difference.data[j * (cols + 1)]! -= damping;
  for (let i = 0; i < cross.data.length; i++) difference.data[i]! -= cross.data[i]!;
  return product(w, difference, kernels, true);
}

/** How far a layer's outputs are from the dense model's: the error above over 1/2 tr(W Z W'); 0 where the dense outputs are 0. */
export function denseError(
  { w, found, layer, dense }: { w: Mat; found: Mat; layer: LayerCurvature; dense: DenseMoments },
  kernels: Kernels,
): number {
  const H = matrix(w.cols, w.cols, Float64Array.from(layer.curvature.gram!().data));
  for (let j = 0; j < w.cols; j++) H.data[j * (w.cols + 1)]! -= layer.damping;
  const inner = (a: Mat, m: Mat, b: Mat): number => kernels.dot(product(a, m, kernels).data, Float64Array.from(b.data));
  // tr(R H R') - 2 tr(R C W') + tr(W Z W')
  const whole = inner(w, dense.own, w);
  const lost = inner(found, H, found) - 2 * inner(found, dense.cross, w) + whole;
  return whole > 0 ? Math.max(0, lost) / whole : 0;
}

/** a m, or a m', in f64. */
function product(a: Mat, m: Mat, kernels: Kernels, transposeB = false): Mat {
  const out = matrix(a.rows, m.cols, new Float64Array(a.rows * m.cols));
  kernels.gemm({ a: matrix(a.rows, a.cols, Float64Array.from(a.data)), b: m, transposeB, out });
  return out;
}
