/**
 * What no weights within a budget can go below. With Q(r) = 1/2 r'Hr - b'r + c summed over rows, and H = M + D, M positive semi-definite and D > 0 diagonal,
 * 1/2 r'Mr is at least its tangent at any y, so that with p = b - My
 *   Q(r) >= c - 1/2 y'My - max over allowed masks of the sum over kept weights of p_i^2 / (2 D_i),
 * which holds for every y; the best y is that of the perspective relaxation (Frangioni and Gentile 2006), min over z in [0, 1], sum z = k, of
 * 1/2 r'Mr - b'r + 1/2 sum D_i r_i^2 / z_i, found here by proximal gradient steps with momentum (Beck and Teboulle 2009). D is diag(H) times the least
 * eigenvalue of H scaled to a unit diagonal, which a Cholesky factorisation of M confirms. H is taken without the ridge of the search.
 */
import { type Kernels, type Mat, matrix, type Problem, type RunContext } from "@secateur/core";
import { withScratch } from "@secateur/core/linalg";
import { rowwiseBudget, type WeightBudget } from "../problem/budget.ts";
import type { LayerProblem } from "../problem/layer-problem.ts";

/** Below that share of its diagonal H has a direction too flat for a bound. */
const flattest = 1e-8;

/**
 * The bound on Q, at least 0 where there is no slope; undefined for budgets of groups of weights, and for an H so nearly singular that nothing can be
 * said. Time: `steps` times rows cols^2 and some 60 passes over the weights, and cols^3. Memory: 96 rows cols + 16 cols^2 bytes, taken once.
 *
 * @param options.steps - proximal steps, >= 1
 */
export async function lowerBound(
  problem: Problem,
  layer: LayerProblem,
  { steps }: { steps: number },
  ctx: RunContext,
): Promise<number | undefined> {
  const budget = rowwiseBudget(problem);
  if (!budget) return undefined;
  const { rows, cols, ridge, dense, B } = layer;
  const { kernels } = ctx;
  return await withScratch(kernels, async (alloc) => {
    const M = matrix(cols, cols, alloc(cols * cols, "f64"));
    const own = Float64Array.from({ length: cols }, (_, j) => layer.H.data[j * (cols + 1)]! - ridge);
    const share = splitDiagonal(layer, { M, own, kernels });
    if (share === undefined) return undefined;
    const d = own.map((value) => share * value);
    const steepest = largest(M, own, kernels);
    const a = own.map((value) => steepest * value);
    const b = Float64Array.from(B.data, (value: number, i) => value - ridge * dense.data[i]!);
    const constant = layer.objective(matrix(rows, cols, new Float64Array(rows * cols)));
    const segments = segmentsOf(budget, { rows, cols });
    const y = matrix(rows, cols, alloc(rows * cols, "f64"));
    const image = matrix(rows, cols, alloc(rows * cols, "f64"));
    // Two vectors take turns, so that steps allocate nothing.
    let [r, next] = [Float64Array.from(dense.data), new Float64Array(rows * cols)];
    const gain = new Float64Array(rows * cols);
    y.data.set(r);
    let [best, momentum] = [problem.gradient ? Number.NEGATIVE_INFINITY : 0, 1];
    for (let step = 0; step < steps; step++) {
      kernels.gemm({ a: y, b: M, out: image });
      best = Math.max(best, constant + boundAt({ y, image, b, d, problem, gain }));
      proximal({ y, image, b, d, a, segments, out: next });
      const grown = (1 + Math.sqrt(1 + 4 * momentum ** 2)) / 2;
      for (let i = 0; i < next.length; i++) y.data[i] = next[i]! + ((momentum - 1) / grown) * (next[i]! - r[i]!);
      [r, next] = [next, r];
      momentum = grown;
      await ctx.tick({ task: "bound", done: step + 1, total: steps });
    }
    return best;
  });
}

/** Writes M = H - D, D the share that is given back of H's own diagonal; undefined where there is none. */
function splitDiagonal(
  { H, cols }: LayerProblem,
  { M, own, kernels }: { M: Mat; own: Float64Array; kernels: Kernels },
): number | undefined {
  const C = matrix(cols, cols, new Float64Array(cols * cols));
  const scaled = (shift: number): void => {
    for (let i = 0; i < cols; i++) {
      for (let j = 0; j < cols; j++) {
        C.data[i * cols + j] = i === j ? 1 - shift : H.data[i * cols + j]! / Math.sqrt(own[i]! * own[j]!);
      }
    }
  };
  scaled(0);
  if (kernels.cholesky(C) >= 0) return undefined;
  // Inverse iteration: its quotient comes down to the least eigenvalue from above.
  const x = matrix(
    cols,
    1,
    Float64Array.from({ length: cols }, (_, j) => 1 + (j % 7)),
  );
  let least = 1;
  for (let step = 0; step < 60; step++) {
    const length = Math.sqrt(kernels.dot(x.data, x.data));
    for (let j = 0; j < cols; j++) x.data[j]! /= length;
    const before = Float64Array.from(x.data);
    kernels.triangularSolve({ l: C, b: x });
    kernels.triangularSolve({ l: C, b: x, transpose: true });
    least = 1 / kernels.dot(before, x.data);
  }
  for (let share = least * (1 - 1e-6); share > flattest; share *= 0.97) {
    scaled(share);
    if (kernels.cholesky(C) >= 0) continue;
    M.data.set(H.data);
    for (let j = 0; j < cols; j++) M.data[j * (cols + 1)] = (1 - share) * own[j]!;
    return share;
  }
  return undefined;
}

/** The largest eigenvalue of M scaled by the diagonal of H, a little more: no step may be longer. */
function largest(M: Mat, diagonal: Float64Array, kernels: Kernels): number {
  const { cols } = M;
  const root = diagonal.map(Math.sqrt);
  const x = Float64Array.from({ length: cols }, (_, j) => 1 + (j % 5));
  const image = new Float64Array(cols);
  let value = 1;
  for (let step = 0; step < 20; step++) {
    const length = Math.sqrt(kernels.dot(x, x)) || 1;
    for (let j = 0; j < cols; j++) x[j] = x[j]! / length / root[j]!;
    kernels.gemv({ a: M, x, out: image });
    for (let j = 0; j < cols; j++) x[j] = image[j]! / root[j]!;
    value = Math.sqrt(kernels.dot(x, x));
  }
  return 1.1 * value;
}

/** The bound at y, without the constant. @param at.gain - [weights]; overwritten */
function boundAt(at: {
  y: Mat;
  image: Mat;
  b: Float64Array;
  d: Float64Array;
  problem: Problem;
  gain: Float64Array;
}): number {
  const { y, image, b, d, problem, gain } = at;
  let curved = 0;
  for (let i = 0; i < b.length; i++) {
    curved += y.data[i]! * image.data[i]!;
    gain[i] = (b[i]! - image.data[i]!) ** 2 / (2 * d[i % d.length]!);
  }
  const mask = problem.constraint.select(gain);
  return -0.5 * curved - gain.reduce((sum, value, i) => sum + (mask[i] === 1 ? value : 0), 0);
}

/** Weights among which so many are kept. */
interface Segment {
  readonly places: Uint32Array;
  readonly keep: number;
  /** Room for n, and for the two numbers of its shares, of each place. */
  readonly n: Float64Array;
  readonly slope: Float64Array;
  readonly offset: Float64Array;
}

function segmentOf(places: Uint32Array, keep: number): Segment {
  const room = (): Float64Array => new Float64Array(places.length);
  return { places, keep, n: room(), slope: room(), offset: room() };
}

function segmentsOf(budget: WeightBudget, { rows, cols }: { rows: number; cols: number }): readonly Segment[] {
  const { eligible } = budget;
  const among = (from: number, to: number): Uint32Array =>
    Uint32Array.from({ length: to - from }, (_, i) => from + i).filter((i) => eligible?.[i] !== 0);
  if (budget.kind === "count") return [segmentOf(among(0, rows * cols), budget.keep)];
  return Array.from({ length: rows }, (_, r) =>
    Array.from({ length: Math.ceil(cols / budget.of) }, (_, g) =>
      segmentOf(among(r * cols + g * budget.of, r * cols + Math.min(cols, (g + 1) * budget.of)), budget.keep),
    ),
  ).flat();
}

/**
 * argmin over r and z of (My - b)'r + 1/2 sum a_i (r_i - y_i)^2 + 1/2 sum d_i r_i^2 / z_i, sum z = k in every segment: with n = a y + b - My,
 * r = n / (a + d / z) and z = (|n| sqrt(d / (2 lambda)) - d) / a within [0, 1], lambda by bisection.
 */
function proximal(at: {
  y: Mat;
  image: Mat;
  b: Float64Array;
  d: Float64Array;
  a: Float64Array;
  segments: readonly Segment[];
  /** [weights]; overwritten. */
  out: Float64Array;
}): void {
  const { y, image, b, d, a, segments, out } = at;
  const cols = d.length;
  out.fill(0);
  for (const { places, keep, n, slope, offset } of segments) {
    for (let p = 0; p < n.length; p++) {
      const i = places[p]!;
      const j = i % cols;
      n[p] = a[j]! * y.data[i]! + b[i]! - image.data[i]!;
      slope[p] = (Math.abs(n[p]!) * Math.sqrt(d[j]!)) / a[j]!;
      offset[p] = d[j]! / a[j]!;
    }
    const share = (p: number, root: number): number => Math.min(1, Math.max(0, slope[p]! * root - offset[p]!));
    const sum = (root: number): number => {
      let total = 0;
      for (let p = 0; p < n.length; p++) total += share(p, root);
      return total;
    };
    // root = 1 / sqrt(2 lambda): shares grow with it.
    let [low, high] = [0, 1];
    while (sum(high) < Math.min(keep, n.length) && high < 1e60) high *= 16;
    for (let halving = 0; halving < 50; halving++) {
      const middle = (low + high) / 2;
      if (sum(middle) > keep) high = middle;
      else low = middle;
    }
    for (let p = 0; p < n.length; p++) {
      const z = share(p, low);
      const j = places[p]! % cols;
      if (z > 0) out[places[p]!] = n[p]! / (a[j]! + d[j]! / z);
    }
  }
}
