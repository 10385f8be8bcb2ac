/**
 * Layer normalisation over the features of each example (Ba, Kiros and Hinton 2016):
 *   y = gamma h + beta,  h = (x - m) r,  m the mean and r = 1 / sqrt(variance + epsilon) of the example's features.
 * The Jacobian of h is symmetric: dh = r (t - mean(t) - h mean(h t)), so dL/dx = r (z - mean(z) - h mean(h z)) with z = gamma d.
 */
import type { Mat, Vec } from "@secateur/core";
import type { LayerOf } from "../graph/layer-spec.ts";
import { deposit, eachSegment, type OpCall, type Step, take } from "./op.ts";

/** Applies a layer normalisation. */
export function layerNorm(call: OpCall, layer: LayerOf<"layer-norm">): Step {
  const { weights, pool } = call;
  const x = call.inputs[0]!;
  const { cols, rows } = x;
  const gamma = weights.get(`${layer.name}.weight`)!.data;
  const beta = weights.get(`${layer.name}.bias`)!.data;
  const h = take(pool, rows, cols);
  const roots = normalise(x, h, layer.epsilon ?? 1e-5);
  const output = take(pool, rows, cols);
  pool.kernels.affineColumns({ a: h, alpha: gamma, gamma: beta, out: output });
  return {
    output,
    kept: [h.data],
    backward(delta, sink) {
      const names = [`${layer.name}.weight`, `${layer.name}.bias`] as const;
      names.forEach((name, which) => {
        eachSegment(sink, rows, name, (place, from, to) => {
          const sums = new Float64Array(cols);
          for (let i = from * cols; i < to * cols; i++)
            sums[i % cols]! += delta.data[i]! * (which === 0 ? h.data[i]! : 1);
          deposit(place, sums);
        });
      });
      pool.kernels.affineColumns({ a: delta, alpha: gamma, out: delta });
      projectRows(delta.data, h, roots);
      return [delta];
    },
    tangent([t], direction) {
      const [dGamma, dBeta] = [direction(`${layer.name}.weight`)?.data, direction(`${layer.name}.bias`)?.data];
      if (!t && !dGamma && !dBeta) return undefined;
      const out = take(pool, rows, cols);
      if (t) {
        out.data.set(t.data);
        projectRows(out.data, h, roots);
        pool.kernels.affineColumns({ a: out, alpha: gamma, out });
      } else out.data.fill(0);
      if (dGamma) pool.kernels.affineColumns({ a: out, b: h, beta: dGamma, out });
      if (dBeta) pool.kernels.addRow(out, dBeta);
      return out;
    },
  };
}

/** Writes h and returns r of every row. */
function normalise(x: Mat, h: Mat, epsilon: number): Float64Array {
  const { rows, cols } = x;
  return Float64Array.from({ length: rows }, (_, n) => {
    const row = x.data.subarray(n * cols, (n + 1) * cols);
    let sum = 0;
    for (const value of row) sum += value;
    const mean = sum / cols;
    let squares = 0;
    for (const value of row) squares += (value - mean) ** 2;
    const root = 1 / Math.sqrt(squares / cols + epsilon);
    for (let j = 0; j < cols; j++) h.data[n * cols + j] = (row[j]! - mean) * root;
    return root;
  });
}

/** z becomes r (z - mean(z) - h mean(h z)), row by row. */
function projectRows(z: Vec, h: Mat, roots: Float64Array): void {
  const { cols } = h;
  for (let n = 0; n < h.rows; n++) {
    let [sum, along] = [0, 0];
    for (let i = n * cols; i < (n + 1) * cols; i++) {
      sum += z[i]!;
      along += z[i]! * h.data[i]!;
    }
    for (let i = n * cols; i < (n + 1) * cols; i++) {
      z[i] = roots[n]! * (z[i]! - sum / cols - (h.data[i]! * along) / cols);
    }
  }
}
