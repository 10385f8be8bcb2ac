/**
 * y = x W' + b. Backward: dL/dx = delta W, dL/dW = delta' x, dL/db = the column sums of delta. Tangent: t W' + x V' + v.
 */
import { type ConvolutionShape, dtypeOf, type Kernels, type Mat, matrix } from "@secateur/core";
import type { Node } from "../graph/graph.ts";
import type { LayerOf } from "../graph/layer-spec.ts";
import { eachSegment, type GradientSink, type OpCall, rowsOf, type Step, take } from "./op.ts";

/** Applies a dense layer. */
export function dense(call: OpCall, layer: LayerOf<"dense">): Step {
  const { weights, pool, node } = call;
  const { kernels } = pool;
  const x = call.inputs[0]!;
  const w = weights.get(`${layer.name}.weight`)!;
  const output = take(pool, x.rows, layer.out);
  const bias = layer.bias === false ? undefined : weights.get(`${layer.name}.bias`)!.data;
  if (call.reuse) {
    // Images of one pixel: the product of the kernels that keeps what it makes of weights.
    const shape = pixelsOf(node, layer, x.rows);
    kernels.convolve({
      shape,
      images: x.data,
      weights: w.data,
      reuse: true,
      out: output.data,
      ...(bias ? { bias } : {}),
    });
  } else {
    kernels.gemm({ a: x, b: w, transposeB: true, out: output });
    if (bias) kernels.addRow(output, bias);
  }
  return {
    output,
    kept: [],
    backward(delta, sink) {
      if (!sink.factors?.(layer, delta, x)) writeGradients({ layer, delta, x, sink, kernels });
      const previous = node.needsDelta[0] ? take(pool, delta.rows, layer.in) : undefined;
      if (previous) kernels.gemm({ a: delta, b: w, out: previous });
      pool.give(delta.data);
      return [previous];
    },
    tangent([t], direction) {
      const [v, bias] = [direction(`${layer.name}.weight`), direction(`${layer.name}.bias`)];
      if (!t && !v && !bias) return undefined;
      const out = take(pool, x.rows, layer.out);
      if (t) kernels.gemm({ a: t, b: w, transposeB: true, out });
      if (v) kernels.gemm({ a: x, b: v, transposeB: true, out, beta: t ? 1 : 0 });
      if (!t && !v) out.data.fill(0);
      if (bias) kernels.addRow(out, bias.data);
      return out;
    },
  };
}

const shapes = new WeakMap<Node, ConvolutionShape>();

/** The shape of a dense layer as a convolution, the same object for batches of the same size. */
function pixelsOf(node: Node, layer: LayerOf<"dense">, batch: number): ConvolutionShape {
  const known = shapes.get(node);
  if (known?.batch === batch) return known;
  const pixel = { height: 1, width: 1, kernel: [1, 1], stride: 1, padding: 0, dilation: 1, groups: 1 } as const;
  const shape = { batch, channels: layer.in, outputs: layer.out, ...pixel };
  shapes.set(node, shape);
  return shape;
}

function writeGradients(spec: {
  layer: LayerOf<"dense">;
  delta: Mat;
  x: Mat;
  sink: GradientSink;
  kernels: Kernels;
}): void {
  const { layer, delta, x, sink, kernels } = spec;
  eachSegment(sink, delta.rows, `${layer.name}.weight`, ({ out, alpha, beta }, from, to) => {
    const [a, b] = [rowsOf(delta, from, to), rowsOf(x, from, to)];
    kernels.gemm({ a, transposeA: true, b, out: matrix(layer.out, layer.in, out), alpha, beta });
  });
  if (layer.bias === false) return;
  eachSegment(sink, delta.rows, `${layer.name}.bias`, ({ out, alpha, beta }, from, to) => {
    const a = rowsOf(delta, from, to);
    kernels.gemm({ a, transposeA: true, b: onesLike(a), out: matrix(layer.out, 1, out), alpha, beta });
  });
}

/** A column of ones. */
export function onesLike({ rows, data }: Mat): Mat {
  return matrix(rows, 1, (dtypeOf(data) === "f64" ? new Float64Array(rows) : new Float32Array(rows)).fill(1));
}
