/**
 * Activations, elementwise y = f(x); backward and tangent multiply by f'(x).
 *   relu max(x, 0);  relu6 min(max(x, 0), 6);  silu x s(x), s(x) = 1 / (1 + exp(-x));
 *   gelu x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2 (Hendrycks and Gimpel 2016, the exact form).
 * The derivative at a kink is 0.
 */
import type { Mat, Vec } from "@secateur/core";
import { erf } from "./erf.ts";
import { isRectified, type OpCall, type Step, take } from "./op.ts";

/** relu on the kernels; its output says where the slope is 1. */
export function relu(call: OpCall): Step {
  const { pool, node } = call;
  const { kernels } = pool;
  const x = call.inputs[0]!;
  const output = node.isInPlace ? x : take(pool, x.rows, x.cols);
  if (!isRectified(call)) kernels.relu(x.data, output.data);
  return {
    output,
    kept: [],
    backward(delta) {
      kernels.reluBackward(output.data, delta.data, delta.data);
      return [delta];
    },
    tangent([t]) {
      if (!t) return undefined;
      const out = take(pool, t.rows, t.cols);
      kernels.reluBackward(output.data, t.data, out.data);
      return out;
    },
  };
}

/** relu6, silu and gelu: value and slope in one pass. */
export function smoothActivation(call: OpCall, kind: "relu6" | "silu" | "gelu"): Step {
  const { pool } = call;
  const { kernels } = pool;
  const x = call.inputs[0]!;
  const output = take(pool, x.rows, x.cols);
  const slope = pool.take(x.data.length);
  writeValueAndSlope[kind](x.data, output.data, slope);
  return {
    output,
    kept: [slope],
    backward(delta) {
      kernels.multiply(slope, delta.data, delta.data);
      return [delta];
    },
    tangent: ([t]) => t && product(t, slope, call),
  };
}

/** t .* slope in a vector of its own. */
function product(t: Mat, slope: Vec, { pool }: OpCall): Mat {
  const out = take(pool, t.rows, t.cols);
  pool.kernels.multiply(t.data, slope, out.data);
  return out;
}

const writeValueAndSlope = {
  relu6(x: Vec, y: Vec, slope: Vec): void {
    for (let i = 0; i < x.length; i++) {
      const value = x[i]!;
      y[i] = Math.min(Math.max(value, 0), 6);
      slope[i] = value > 0 && value < 6 ? 1 : 0;
    }
  },
  silu(x: Vec, y: Vec, slope: Vec): void {
    for (let i = 0; i < x.length; i++) {
      const value = x[i]!;
      const s = 1 / (1 + Math.exp(-value));
      y[i] = value * s;
      slope[i] = s * (1 + value * (1 - s));
    }
  },
  gelu(x: Vec, y: Vec, slope: Vec): void {
    for (let i = 0; i < x.length; i++) {
      const value = x[i]!;
      const below = (1 + erf(value * Math.SQRT1_2)) / 2;
      y[i] = value * below;
      slope[i] = below + (value * Math.exp((-value * value) / 2)) / Math.sqrt(2 * Math.PI);
    }
  },
};
