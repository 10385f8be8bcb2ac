/**
 * Convolution y = x * w + b on the kernels, inside with channels last. Backward: dL/dx by the adjoint, dL/dw a row a segment.
 * Tangent: t * w + x * v.
 * A ReLU behind it is applied in the same call. In eval mode a batch normalisation that follows is folded into w and b; where nothing goes back it
 * is the scale and bias of the sums, so that w stays the array that kernels know.
 */
import type { ConvolutionShape, Mat } from "@secateur/core";
import { matrix } from "@secateur/core";
import type { Node } from "../graph/graph.ts";
import type { LayerOf } from "../graph/layer-spec.ts";
import { positionsOf } from "../graph/value-shape.ts";
import type { Pool } from "../pool.ts";
import { type Folded, factorsOf, fold } from "./fold.ts";
import { type GradientSink, isRectified, type OpCall, reshaped, rowsOf, type Step, take } from "./op.ts";

/** Numbers that gradients of one layer may take before they are handed on: 32 MiB of f32. */
const gradientNumbers = 8 * 1024 * 1024;

/** What one application works with. */
interface Convolution {
  readonly shape: ConvolutionShape;
  /** Output positions of one example. */
  readonly positions: number;
  readonly x: Mat;
  readonly folded: Folded;
  readonly pool: Pool;
}

const shapes = new WeakMap<Node, ConvolutionShape>();

/** The shape at a node, the same object for batches of the same size: kernels work out what follows from it once. */
function shapeAt(node: Node, layer: LayerOf<"conv2d">, batch: number): ConvolutionShape {
  const known = shapes.get(node);
  if (known?.batch === batch) return known;
  const { stride = 1, padding = 0, dilation = 1, groups = 1, kernel, in: channels, out: outputs } = layer;
  const { height, width } = node.inputShapes[0]!;
  const shape = { batch, height, width, channels, outputs, groups, kernel, stride, padding, dilation };
  shapes.set(node, shape);
  return shape;
}

/** Applies a convolution. */
export function convolution(call: OpCall, layer: LayerOf<"conv2d">): Step {
  const { node, weights, pool, mode, reuse = false } = call;
  const { kernels } = pool;
  const x = call.inputs[0]!;
  const shape = shapeAt(node, layer, x.rows);
  const { outputs } = shape;
  const positions = positionsOf(node.shape);
  let known: Folded | undefined;
  const foldedOnce = (): Folded => {
    known ??= fold(node, layer, weights, mode === "eval");
    return known;
  };
  const output = take(pool, x.rows, positions * outputs);
  const target = { shape, images: x.data, out: output.data, relu: isRectified(call) };
  if (reuse && mode === "eval") {
    const { data } = weights.get(`${layer.name}.weight`)!;
    kernels.convolve({ ...target, weights: data, reuse, ...factorsOf(node, layer, weights) });
  } else {
    const { w, bias } = foldedOnce();
    kernels.convolve({ ...target, weights: w, ...(bias ? { bias } : {}) });
  }
  return {
    output,
    kept: [],
    backward(delta, sink) {
      const folded = foldedOnce();
      writeGradients({ shape, positions, x, folded, pool }, delta, sink);
      const previous = node.needsDelta[0] ? take(pool, x.rows, x.cols) : undefined;
      if (previous) kernels.convolveBack({ shape, deltas: delta.data, weights: folded.w, out: previous.data });
      pool.give(delta.data);
      return [previous];
    },
    tangent([t], direction) {
      const folded = foldedOnce();
      const change = folded.change(direction);
      if (!t && !change.w && !change.bias) return undefined;
      const out = take(pool, x.rows, positions * outputs);
      if (t) kernels.convolve({ shape, images: t.data, weights: folded.w, out: out.data });
      if (change.w) {
        kernels.convolve({ shape, images: x.data, weights: change.w, out: out.data, beta: t ? 1 : 0 });
      }
      if (!t && !change.w) out.data.fill(0);
      if (change.bias) kernels.addRow(reshaped(out, outputs), change.bias);
      return out;
    },
  };
}

/** Hands on the gradients of every segment that wants them, a run of neighbouring segments at a time. */
function writeGradients(conv: Convolution, delta: Mat, sink: GradientSink): void {
  const { x, pool, positions, shape, folded } = conv;
  const { kernels } = pool;
  const size = folded.w.length;
  const count = Math.ceil(x.rows / sink.group);
  const most = Math.max(1, Math.min(count, Math.floor(gradientNumbers / size)));
  const gradients = take(pool, most, size);
  const e = pool.take(shape.outputs);
  const segments = Array.from({ length: count }, (_, s) => s).filter((s) => folded.wants(sink, s));
  for (const { first, last } of runsOf(segments, most)) {
    const [from, to] = [first * sink.group, Math.min((last + 1) * sink.group, x.rows)];
    const out = rowsOf(gradients, 0, last + 1 - first);
    kernels.convolutionGradients({
      shape: { ...shape, batch: to - from },
      images: rowsOf(x, from, to).data,
      deltas: rowsOf(delta, from, to).data,
      group: Math.min(sink.group, to - from),
      out,
    });
    for (let segment = first; segment <= last; segment++) {
      const start = segment * sink.group;
      const rows = rowsOf(delta, start, Math.min(start + sink.group, x.rows));
      folded.write(sink, segment, {
        D: rowsOf(out, segment - first, segment - first + 1).data,
        e() {
          kernels.columnSums(matrix(rows.rows * positions, shape.outputs, rows.data), e);
          return e;
        },
      });
    }
  }
  pool.give(gradients.data);
  pool.give(e);
}

/** Runs of neighbouring numbers, at most `most` long. */
function runsOf(numbers: readonly number[], most: number): { first: number; last: number }[] {
  const runs: { first: number; last: number }[] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run && number === run.last + 1 && number - run.first < most) run.last = number;
    else runs.push({ first: number, last: number });
  }
  return runs;
}
