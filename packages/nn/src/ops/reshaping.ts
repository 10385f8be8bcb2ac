/** Layers that move or drop numbers: flatten (positions to features) and dropout (Srivastava et al. 2014). */
import type { Mat } from "@secateur/core";
import type { LayerOf } from "../graph/layer-spec.ts";
import { positionsOf } from "../graph/value-shape.ts";
import { type OpCall, type Step, take } from "./op.ts";

/** Features in the order of the border: channel, row, column, or as they are inside: row, column, channel. */
export function flatten(call: OpCall): Step {
  const { pool, node } = call;
  const x = call.inputs[0]!;
  if (node.layout === "nhwc") return unchanged(x);
  const { channels } = node.inputShapes[0]!;
  const positions = positionsOf(node.inputShapes[0]!);
  const transposed = (from: Mat, rows: number, cols: number): Mat => {
    const out = take(pool, from.rows, from.cols);
    pool.kernels.transposeBlocks(from.data, { count: from.rows, rows, cols }, out.data);
    return out;
  };
  return {
    output: transposed(x, positions, channels),
    kept: [],
    backward(delta) {
      const previous = transposed(delta, channels, positions);
      pool.give(delta.data);
      return [previous];
    },
    tangent: ([t]) => t && transposed(t, positions, channels),
  };
}

/** Drops entries in training: y = x * keep / (1 - rate). */
export function dropout(call: OpCall, layer: LayerOf<"dropout">): Step {
  const { pool, mode, random } = call;
  const x = call.inputs[0]!;
  if (mode === "eval" || layer.rate === 0 || !random) {
    return unchanged(x);
  }
  const scales = pool.take(x.data.length);
  for (let i = 0; i < scales.length; i++) scales[i] = random() < layer.rate ? 0 : 1 / (1 - layer.rate);
  const apply = (input: Mat): Mat => {
    const out = take(pool, input.rows, input.cols);
    pool.kernels.multiply(input.data, scales, out.data);
    return out;
  };
  return {
    output: apply(x),
    kept: [scales],
    backward(delta) {
      pool.kernels.multiply(delta.data, scales, delta.data);
      return [delta];
    },
    tangent: ([t]) => t && apply(t),
  };
}

/** A layer that hands on what it was given: its output is its input's vector. */
export function unchanged(x: Mat): Step {
  return { output: x, kept: [], backward: (delta) => [delta], tangent: ([t]) => t && { ...t } };
}
