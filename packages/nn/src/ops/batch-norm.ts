/**
 * Batch normalisation of channels (Ioffe and Szegedy 2015), over n values a channel (examples and positions):
 *   y = gamma (x - m) r + beta,   r = 1 / sqrt(v + epsilon)
 * With statistics of the batch, m and v depend on x:
 *   dL/dx = gamma r (d - mean(d) - h mean(d h)),   h = (x - m) r;   dgamma = sum d h,  dbeta = sum d.
 * With running statistics dL/dx = gamma r d. A batch normalisation folded into a convolution passes values through.
 */
import { type Kernels, type Mat, type Vec, zeros } from "@secateur/core";
import type { LayerOf } from "../graph/layer-spec.ts";
import { deposit, eachSegment, type OpCall, reshaped, rowsOf, type Step, sumLanes, take } from "./op.ts";

/** Applies a batch normalisation. */
export function batchNorm(call: OpCall, layer: LayerOf<"batch-norm">): Step {
  const { node, weights, pool, mode, lanes = 1 } = call;
  const x = call.inputs[0]!;
  if (mode === "eval" && node.isFolded) return passThrough(x);
  const { kernels } = pool;
  const { channels, epsilon = 1e-5 } = layer;
  const columns = channels * lanes;
  const rows = reshaped(x, columns);
  const n = rows.rows * lanes;
  const get = (name: string): Vec => weights.get(`${layer.name}.${name}`)!.data;
  const [gamma, beta] = [get("weight"), get("bias")];
  const { mean, variance } =
    mode === "train"
      ? batchStatistics(rows, lanes, pool.kernels)
      : { mean: Float64Array.from(get("running_mean")), variance: Float64Array.from(get("running_var")) };
  if (mode === "train")
    call.onStatistics?.(
      layer.name,
      mean,
      variance.map((v) => (n > 1 ? (v * n) / (n - 1) : v)),
    );
  const r = variance.map((v) => 1 / Math.sqrt(v + epsilon));
  const vector = (value: (c: number) => number): Vec => {
    const out = zeros(columns, pool.dtype);
    for (let c = 0; c < channels; c++) out.fill(value(c), c * lanes, (c + 1) * lanes);
    return out;
  };
  const scale = vector((c) => gamma[c]! * r[c]!);
  const shift = vector((c) => beta[c]! - gamma[c]! * r[c]! * mean[c]!);
  const output = take(pool, x.rows, x.cols);
  kernels.affineColumns({ a: rows, alpha: scale, gamma: shift, out: reshaped(output, columns) });
  const positions = x.cols / columns;
  /** Sums over examples [from, to) of d and of d h. */
  const sums = (d: Mat, from: number, to: number): { beta: Float64Array; gamma: Float64Array } => {
    const [part, values] = [
      rowsOf(d, from * positions, to * positions),
      rowsOf(rows, from * positions, to * positions),
    ];
    const plain = sumLanes(columnSums(part, kernels), lanes);
    const product = sumLanes(columnDots(part, values, kernels), lanes);
    return { beta: plain, gamma: product.map((sum, c) => (sum - mean[c]! * plain[c]!) * r[c]!) };
  };
  return {
    output,
    kept: [],
    backward(delta, sink) {
      const d = reshaped(delta, columns);
      let ofAll: ReturnType<typeof sums> | undefined;
      const within = (from: number, to: number): ReturnType<typeof sums> => {
        if (from > 0 || to < x.rows) return sums(d, from, to);
        ofAll ??= sums(d, 0, x.rows);
        return ofAll;
      };
      for (const [name, which] of [
        ["weight", "gamma"],
        ["bias", "beta"],
      ] as const) {
        eachSegment(sink, x.rows, `${layer.name}.${name}`, (place, from, to) =>
          deposit(place, within(from, to)[which]),
        );
      }
      if (mode === "eval") kernels.affineColumns({ a: d, alpha: scale, out: d });
      else {
        const all = within(0, x.rows);
        const slope = vector((c) => (-gamma[c]! * r[c]! * r[c]! * all.gamma[c]!) / n);
        const offset = vector((c) => (-gamma[c]! * r[c]! * all.beta[c]!) / n - slope[c * lanes]! * mean[c]!);
        kernels.affineColumns({ a: d, alpha: scale, b: rows, beta: slope, gamma: offset, out: d });
      }
      return [delta];
    },
    tangent([t], direction) {
      const [dGamma, dBeta] = [direction(`${layer.name}.weight`)?.data, direction(`${layer.name}.bias`)?.data];
      if (!t && !dGamma && !dBeta) return undefined;
      // Linear only with running statistics, the only mode that tangents are taken in.
      const out = take(pool, x.rows, x.cols);
      const slope = vector((c) => (dGamma?.[c] ?? 0) * r[c]!);
      const offset = vector((c) => (dBeta?.[c] ?? 0) - (dGamma?.[c] ?? 0) * r[c]! * mean[c]!);
      const target = reshaped(out, columns);
      if (t)
        kernels.affineColumns({
          a: reshaped(t, columns),
          alpha: scale,
          b: rows,
          beta: slope,
          gamma: offset,
          out: target,
        });
      else kernels.affineColumns({ a: rows, alpha: slope, gamma: offset, out: target });
      return out;
    },
  };
}

function passThrough(x: Mat): Step {
  return {
    output: x,
    kept: [],
    backward: (delta) => [delta],
    tangent: ([t]) => t && { ...t },
  };
}

/** Mean and variance (biased) of every channel. */
function batchStatistics(rows: Mat, lanes: number, kernels: Kernels): { mean: Float64Array; variance: Float64Array } {
  const n = rows.rows * lanes;
  const mean = sumLanes(columnSums(rows, kernels), lanes).map((sum) => sum / n);
  const squares = sumLanes(columnDots(rows, rows, kernels), lanes);
  return { mean, variance: squares.map((sum, c) => Math.max(0, sum / n - mean[c]! ** 2)) };
}

function columnSums(a: Mat, kernels: Kernels): Float64Array {
  const out = new Float64Array(a.cols);
  kernels.columnSums(a, out);
  return out;
}

function columnDots(a: Mat, b: Mat, kernels: Kernels): Float64Array {
  const out = new Float64Array(a.cols);
  kernels.columnDots(a, b, out);
  return out;
}
