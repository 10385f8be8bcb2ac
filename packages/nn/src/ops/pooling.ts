/**
 * Pooling over windows of every channel: y = max (ties: the first position) or mean (padding counts as zeros) of the window; over
 * whole images: the mean of all positions. Max sends deltas to the entry it took, the mean a share to each.
 */
import type { Mat, Vec } from "@secateur/core";
import type { PoolSpec } from "../layer-spec.ts";
import { sizeOf, type ValueShape } from "../value-shape.ts";
import { type OpCall, type Step, take } from "./op.ts";

/** Largest entries. */
export function maxPool(call: OpCall, layer: PoolSpec): Step {
  const { pool, node } = call;
  const x = call.inputs[0]!;
  const output = take(pool, x.rows, sizeOf(node.shape));
  const taken = new Uint32Array(output.data.length);
  const isEmpty = new Uint8Array(output.data.length).fill(1);
  eachTap(call, layer, (from, to) => {
    // Written so that NaN wins: a damaged value must not vanish.
    if (isEmpty[to] === 0 && !(x.data[from]! > output.data[to]! || Number.isNaN(x.data[from]!))) return;
    isEmpty[to] = 0;
    output.data[to] = x.data[from]!;
    taken[to] = from;
  });
  return {
    output,
    kept: [],
    backward(delta) {
      const previous = take(pool, x.rows, x.cols);
      previous.data.fill(0);
      for (let i = 0; i < taken.length; i++) previous.data[taken[i]!]! += delta.data[i]!;
      pool.give(delta.data);
      return [previous];
    },
    tangent([t]) {
      if (!t) return undefined;
      const out = take(pool, output.rows, output.cols);
      for (let i = 0; i < taken.length; i++) out.data[i] = t.data[taken[i]!]!;
      return out;
    },
  };
}

/** Means of windows. */
export function averagePool(call: OpCall, layer: PoolSpec): Step {
  const { pool, node } = call;
  const x = call.inputs[0]!;
  const share = 1 / layer.size ** 2;
  const apply = (input: Mat): Mat => {
    const out = take(pool, input.rows, sizeOf(node.shape));
    out.data.fill(0);
    eachTap(call, layer, (from, to) => {
      out.data[to]! += share * input.data[from]!;
    });
    return out;
  };
  return {
    output: apply(x),
    kept: [],
    backward(delta) {
      const previous = take(pool, x.rows, x.cols);
      previous.data.fill(0);
      eachTap(call, layer, (from, to) => {
        previous.data[from]! += share * delta.data[to]!;
      });
      pool.give(delta.data);
      return [previous];
    },
    tangent: ([t]) => t && apply(t),
  };
}

/** Means of whole images. */
export function globalAveragePool(call: OpCall): Step {
  const { pool, node } = call;
  const x = call.inputs[0]!;
  const { channels } = node.shape;
  const positions = x.cols / channels;
  const apply = (input: Mat): Mat => {
    const out = take(pool, input.rows, channels);
    for (let n = 0; n < input.rows; n++)
      writeMeans(input.data, n * input.cols, { out: out.data, to: n * channels, channels, positions });
    return out;
  };
  return {
    output: apply(x),
    kept: [],
    backward(delta) {
      const previous = take(pool, x.rows, x.cols);
      for (let n = 0, i = 0; n < x.rows; n++) {
        for (let p = 0; p < positions; p++) {
          for (let c = 0; c < channels; c++) previous.data[i++] = delta.data[n * channels + c]! / positions;
        }
      }
      pool.give(delta.data);
      return [previous];
    },
    tangent: ([t]) => t && apply(t),
  };
}

function writeMeans(
  x: Vec,
  from: number,
  { out, to, channels, positions }: { out: Vec; to: number; channels: number; positions: number },
): void {
  const sums = new Float64Array(channels);
  for (let p = 0, i = from; p < positions; p++) for (let c = 0; c < channels; c++) sums[c]! += x[i++]!;
  for (let c = 0; c < channels; c++) out[to + c] = sums[c]! / positions;
}

/** Visits every entry inside the image that a window looks at: its place in the input and the window's in the output. */
function eachTap({ node, inputs }: OpCall, layer: PoolSpec, visit: (from: number, to: number) => void): void {
  const { size, stride = size, padding = 0 } = layer;
  const [from, to]: readonly [ValueShape, ValueShape] = [node.inputShapes[0]!, node.shape];
  const { channels } = from;
  for (let n = 0; n < inputs[0]!.rows; n++) {
    for (let oy = 0; oy < to.height; oy++) {
      for (let ox = 0; ox < to.width; ox++) {
        const out = ((n * to.height + oy) * to.width + ox) * channels;
        const [top, left] = [oy * stride - padding, ox * stride - padding];
        for (let y = Math.max(0, top); y < Math.min(from.height, top + size); y++) {
          for (let x = Math.max(0, left); x < Math.min(from.width, left + size); x++) {
            const place = ((n * from.height + y) * from.width + x) * channels;
            for (let c = 0; c < channels; c++) visit(place + c, out + c);
          }
        }
      }
    }
  }
}
