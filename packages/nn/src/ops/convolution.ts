/**
 * Convolution by windows and matrix products (im2col; Chellapilla et al. 2006), inside with channels last:
 *   y = windows(x) w' + b,   w [out, (ky, kx, c)]
 *   dL/dw = delta' windows(x),   dL/dx = the convolution of delta with w flipped where the stride is 1, else
 *   the adjoint of windows applied to delta w.
 * Tangent: windows(t) w' + windows(x) v'. In eval mode a batch normalisation that follows is folded into w and b.
 */
import { dtypeOf, type Mat, matrix, type Vec, windowsShape } from "@secateur/core";
import type { LayerOf } from "../layer-spec.ts";
import type { Pool } from "../pool.ts";
import { positionsOf } from "../value-shape.ts";
import { type Folded, fold } from "./fold.ts";
import { addGroupedWeightGradient, groupsOf, writeGroupedWindows } from "./grouped-product.ts";
import { type GradientSink, type OpCall, reshaped, rowsOf, type Step, take } from "./op.ts";
import { addWindowProducts, eachWindowChunk, type Geometry, imagesAtOnce, isPointwise } from "./windowed-product.ts";

/** What one application works with. */
interface Convolution {
  readonly geometry: Geometry;
  readonly groups: number;
  /** Channels taken by one output. */
  readonly inGroup: number;
  readonly taps: number;
  /** Output positions of one example. */
  readonly positions: number;
  readonly x: Mat;
  /** [out, (ky, kx, c)] */
  readonly w: Mat;
  readonly folded: Folded;
  readonly pool: Pool;
}

/** Applies a convolution. */
export function convolution(call: OpCall, layer: LayerOf<"conv2d">): Step {
  const { node, weights, pool, mode } = call;
  const { stride = 1, padding = 0, dilation = 1, groups = 1, kernel } = layer;
  const { height, width } = node.inputShapes[0]!;
  const folded = fold(node, layer, weights, mode === "eval");
  const [inGroup, taps] = [layer.in / groups, kernel[0] * kernel[1]];
  const conv: Convolution = {
    geometry: { height, width, channels: layer.in, kernel, stride, padding, dilation },
    groups,
    inGroup,
    taps,
    positions: positionsOf(node.shape),
    x: call.inputs[0]!,
    w: matrix(layer.out, inGroup * taps, tapsFirst(folded.w, { out: layer.out, inGroup, taps })),
    folded,
    pool,
  };
  const { x, positions } = conv;
  const output = take(pool, x.rows, positions * layer.out);
  const target = reshaped(output, layer.out);
  addWindowProducts({ images: x, geometry: conv.geometry, w: conv.w, groups, out: target, beta: 0, pool });
  if (folded.bias) pool.kernels.addRow(target, folded.bias);
  return {
    output,
    kept: [],
    backward(delta, sink) {
      const slope = reshaped(delta, layer.out);
      writeGradients(conv, slope, sink);
      const previous = node.needsDelta[0] ? inputDelta(conv, slope) : undefined;
      pool.give(delta.data);
      return [previous];
    },
    tangent([t], direction) {
      const change = folded.change(direction);
      if (!t && !change.w && !change.bias) return undefined;
      const out = take(pool, x.rows, positions * layer.out);
      const rows = reshaped(out, layer.out);
      const { geometry, w } = conv;
      if (t) addWindowProducts({ images: t, geometry, w, groups, out: rows, beta: 0, pool });
      if (change.w) {
        const v = matrix(layer.out, w.cols, tapsFirst(change.w, { out: layer.out, inGroup, taps }));
        addWindowProducts({ images: x, geometry, w: v, groups, out: rows, beta: t ? 1 : 0, pool });
      }
      if (!t && !change.w) out.data.fill(0);
      if (change.bias) pool.kernels.addRow(rows, change.bias);
      return out;
    },
  };
}

/** [out, (c, tap)] as [out, (tap, c)]; a view where the two are the same. */
function tapsFirst(w: Vec, { out, inGroup, taps }: { out: number; inGroup: number; taps: number }): Vec {
  if (taps === 1 || inGroup === 1) return w;
  return swapped(w, out, inGroup, taps);
}

/** `count` matrices [rows, cols], each transposed. */
function swapped(source: Vec, count: number, rows: number, cols: number): Vec {
  const out = dtypeOf(source) === "f64" ? new Float64Array(source.length) : new Float32Array(source.length);
  for (let b = 0; b < count; b++) {
    const start = b * rows * cols;
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < cols; j++) out[start + j * rows + i] = source[start + i * cols + j]!;
    }
  }
  return out;
}

/** Sums delta' windows over every segment's examples and hands it on in canonical order. */
function writeGradients(conv: Convolution, delta: Mat, sink: GradientSink): void {
  const { x, w, pool, positions, geometry, groups, inGroup, taps, folded } = conv;
  const { kernels } = pool;
  const sums = take(pool, w.rows, w.cols);
  const canonical = taps === 1 || inGroup === 1 ? sums.data : pool.take(sums.data.length);
  const e = pool.take(w.rows);
  const grouped = groups > 1 ? new Float64Array(sums.data.length) : undefined;
  for (let from = 0, segment = 0; from < x.rows; from += sink.group, segment++) {
    const to = Math.min(from + sink.group, x.rows);
    if (!folded.wants(sink, segment)) continue;
    grouped?.fill(0);
    eachWindowChunk({ images: x, geometry, pool, from, to }, ({ from: first, rowFrom, rowTo, windows }) => {
      const a = rowsOf(delta, rowFrom, rowTo);
      if (grouped) addGroupedWeightGradient(groupsOf(geometry, groups, w), { windows, delta: a, sums: grouped });
      else kernels.gemm({ a, transposeA: true, b: windows, out: sums, beta: first === from ? 0 : 1 });
    });
    if (grouped) sums.data.set(grouped);
    if (canonical !== sums.data)
      kernels.transposeBlocks(sums.data, { count: w.rows, rows: taps, cols: inGroup }, canonical);
    kernels.columnSums(rowsOf(delta, from * positions, to * positions), e);
    folded.write(sink, segment, { D: canonical, e });
  }
  pool.give(sums.data);
  if (canonical !== sums.data) pool.give(canonical);
  pool.give(e);
}

function inputDelta(conv: Convolution, delta: Mat): Mat {
  const { x, w, pool, geometry, groups, taps, inGroup, positions } = conv;
  const out = take(pool, x.rows, x.cols);
  const { kernel, stride, padding, dilation, channels } = geometry;
  const reach = [dilation * (kernel[0] - 1), dilation * (kernel[1] - 1)] as const;
  if (groups === 1 && isPointwise(geometry)) {
    pool.kernels.gemm({ a: delta, b: w, out: reshaped(out, channels) });
    return out;
  }
  const sizes = windowsShape({ ...geometry, batch: 1 });
  if (groups === 1 && stride === 1 && reach[0] === reach[1] && reach[0] >= padding) {
    const images = { rows: x.rows, cols: positions * w.rows, data: delta.data };
    addWindowProducts({
      images,
      geometry: {
        height: sizes.outHeight,
        width: sizes.outWidth,
        channels: w.rows,
        kernel,
        stride: 1,
        padding: reach[0] - padding,
        dilation,
      },
      w: flipped(w, taps, inGroup),
      groups: 1,
      out: reshaped(out, channels),
      beta: 0,
      pool,
    });
    return out;
  }
  const step = imagesAtOnce(geometry);
  for (let from = 0; from < x.rows; from += step) {
    const to = Math.min(from + step, x.rows);
    const windows = take(pool, (to - from) * positions, sizes.cols);
    const a = rowsOf(delta, from * positions, to * positions);
    if (groups === 1) pool.kernels.gemm({ a, b: w, out: windows });
    else writeGroupedWindows(groupsOf(geometry, groups, w), { windows, w, delta: a });
    pool.kernels.scatterWindows({
      shape: { ...geometry, batch: to - from },
      images: rowsOf(out, from, to).data,
      windows,
    });
    pool.give(windows.data);
  }
  return out;
}

/** w [out, (tap, c)] as [c, (last tap first, out)]: the weights that carry deltas back. */
function flipped(w: Mat, taps: number, inGroup: number): Mat {
  const data = w.data.slice();
  for (let o = 0; o < w.rows; o++) {
    for (let t = 0; t < taps; t++) {
      for (let c = 0; c < inGroup; c++) {
        data[(c * taps + (taps - 1 - t)) * w.rows + o] = w.data[(o * taps + t) * inGroup + c]!;
      }
    }
  }
  return matrix(inGroup, taps * w.rows, data);
}
