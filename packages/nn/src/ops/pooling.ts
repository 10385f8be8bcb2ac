/**
 * Pooling over windows of every channel: y = max (ties: the first position) or mean (padding counts as zeros) of the window; over
 * whole images: the mean of all positions. Max sends deltas to the entry it took, the mean a share to each. A mean is a convolution
 * channel by channel whose taps are all the same.
 */
import { dtypeOf, type Mat, type Vec, zeros } from "@secateur/core";
import type { Node } from "../graph/graph.ts";
import type { PoolSpec } from "../graph/layer-spec.ts";
import { sizeOf } from "../graph/value-shape.ts";
import type { Pool } from "../pool.ts";
import { type OpCall, type Step, take } from "./op.ts";

/** Largest entries. */
export function maxPool(call: OpCall, { size, stride = size, padding = 0 }: PoolSpec): Step {
  const { pool, node } = call;
  const x = call.inputs[0]!;
  const { height, width, channels } = node.inputShapes[0]!;
  const output = take(pool, x.rows, sizeOf(node.shape));
  const taken = new Uint32Array(output.data.length);
  const kernel = [size, size] as const;
  const shape = { batch: x.rows, height, width, channels, kernel, stride, padding, dilation: 1 };
  pool.kernels.maxWindows({ shape, images: x.data, out: output.data, taken });
  return {
    output,
    kept: [],
    backward(delta) {
      const previous = take(pool, x.rows, x.cols);
      previous.data.fill(0);
      for (let i = 0; i < taken.length; i++) {
        const from = taken[i]!;
        if (from < x.data.length) previous.data[from]! += delta.data[i]!;
      }
      pool.give(delta.data);
      return [previous];
    },
    tangent([t]) {
      if (!t) return undefined;
      const out = take(pool, output.rows, output.cols);
      for (let i = 0; i < taken.length; i++) out.data[i] = t.data[taken[i]!] ?? 0;
      return out;
    },
  };
}

/** Means of windows. */
export function averagePool(call: OpCall, { size, stride = size, padding = 0 }: PoolSpec): Step {
  return means(call, { kernel: [size, size], stride, padding });
}

/** Means of whole images. */
export function globalAveragePool(call: OpCall): Step {
  const { height, width } = call.node.inputShapes[0]!;
  return means(call, { kernel: [height, width], stride: 1, padding: 0 });
}

function means(
  { pool, node, inputs, reuse = false }: OpCall,
  geometry: { kernel: readonly [number, number]; stride: number; padding: number },
): Step {
  const { kernels } = pool;
  const x = inputs[0]!;
  const { height, width, channels } = node.inputShapes[0]!;
  const shape = {
    batch: x.rows,
    height,
    width,
    channels,
    outputs: channels,
    groups: channels,
    dilation: 1,
    ...geometry,
  };
  const weights = sharesOf(node, channels * geometry.kernel[0] * geometry.kernel[1], pool);
  const apply = (input: Mat): Mat => {
    const out = take(pool, input.rows, sizeOf(node.shape));
    kernels.convolve({ shape, images: input.data, weights, reuse, out: out.data });
    return out;
  };
  return {
    output: apply(x),
    kept: [],
    backward(delta) {
      const previous = take(pool, x.rows, x.cols);
      kernels.convolveBack({ shape, deltas: delta.data, weights, out: previous.data });
      pool.give(delta.data);
      return [previous];
    },
    tangent: ([t]) => t && apply(t),
  };
}

const shares = new WeakMap<Node, Vec>();

/** Taps that are all the same, by node: `length` of them over the channels. */
function sharesOf(node: Node, length: number, { dtype }: Pool): Vec {
  const known = shares.get(node);
  if (known && dtypeOf(known) === dtype) return known;
  const made = zeros(length, dtype).fill(node.inputShapes[0]!.channels / length);
  shares.set(node, made);
  return made;
}
