/** Who takes gradients of weights: sums over everything, or rows of some examples each. */
import { type GradientBlock, type Mat, matrix, type Pool, type RunContext, type Vec } from "@secateur/core";
import type { WeightGradient, WeightSink } from "../operator.ts";
import type { GraphParam } from "../plan/params.ts";
import { stepsWith } from "../plan/weight-steps.ts";
import type { Pass } from "./passes.ts";

/**
 * Adds alpha times the gradient of all examples to the given vectors.
 *
 * @param options.biases - for the biases behind weights, by the weights: their gradients are sums of the slopes at the outputs
 */
export function sumSink(
  sums: ReadonlyMap<string, Vec>,
  options: { readonly alpha: number; readonly pool: Pool; readonly biases?: ReadonlyMap<string, Vec> },
): WeightSink {
  const { alpha, pool, biases } = options;
  return {
    wants: (param) => sums.has(param) || biases?.has(param) === true,
    take(param, gradient) {
      const bias = biases?.get(param);
      if (bias) addSlopes(bias, gradient, { alpha, pool });
      const sum = sums.get(param);
      if (!sum) return;
      const row = pool.take(sum.length);
      gradient.rows(Math.max(1, gradient.units), matrix(1, row.length, row));
      pool.kernels.axpy(alpha, row, sum);
      pool.give(row);
    },
  };
}

/** Sums of slopes over all rows, entry r of the outputs of row r of the weight. */
function addSlopes(bias: Vec, gradient: WeightGradient, { alpha, pool }: { alpha: number; pool: Pool }): void {
  const { groups } = gradient;
  const share = bias.length / groups;
  for (let group = 0; group < groups; group++) {
    const delta = gradient.deltaOf(group);
    const sums = pool.take(share);
    pool.kernels.columnSums(delta, sums);
    pool.kernels.axpy(alpha, sums, bias.subarray(group * share, (group + 1) * share));
    pool.give(sums);
    // A whole product's slopes are its own; those of a group were gathered for this call.
    if (groups > 1) pool.give(delta.data);
  }
}

/**
 * Gradients below this are taken as zero. Softmax leaves well-classified examples with deltas down to 1e-45; their products
 * would be subnormal numbers, on which processors are a hundred times slower, and add nothing that f32 could hold.
 */
const negligible = 1e-18;

/** Rows of `batch` examples each, collected over passes. */
export interface RowCollector {
  /** Takes a pass whose first example is the `start`-th. @param fed - examples that the graph is fed, of which `count` are asked for */
  sinkAt(at: Pick<Pass, "start" | "fed" | "count" | "plan"> & { pool: Pool }): WeightSink;
  blocks(): readonly GradientBlock[];
}

/** Collects gradient rows in kernel memory: the factors of a matrix product where these are fewer numbers than the rows. */
export function collectRows(
  spec: { readonly params: readonly GraphParam[]; readonly rows: number; readonly batch: number },
  ctx: RunContext,
): RowCollector {
  const { params, rows, batch } = spec;
  const dense = new Map<string, Mat>();
  const factors = new Map<string, { delta: Mat; input: Mat; group: number }>();
  const byName = new Map(params.map((param) => [param.name, param]));
  const alloc = (count: number, cols: number, dtype: "f32" | "f64"): Mat =>
    matrix(count, cols, ctx.kernels.alloc(count * cols, dtype));
  const denseOf = (param: string, dtype: "f32" | "f64"): Mat => {
    const known = dense.get(param) ?? alloc(rows, byName.get(param)!.live.data.length, dtype);
    dense.set(param, known);
    return known;
  };
  return {
    sinkAt: ({ start, fed, count, plan, pool }) => ({
      wants: (param) => byName.has(param),
      take(param, gradient) {
        const perExample = gradient.units / fed;
        const { live } = byName.get(param)!;
        const group = batch * perExample;
        const isSmaller = group * (live.rows + live.cols) < live.rows * live.cols;
        if (gradient.factors && isSmaller && stepsWith(plan, param).length === 1) {
          const full = factors.get(param) ?? {
            group,
            delta: alloc(rows * group, live.rows, pool.dtype),
            input: alloc(rows * group, live.cols, pool.dtype),
          };
          factors.set(param, full);
          keepFactors(full, gradient.factors, {
            first: start * perExample,
            units: count * perExample,
            scale: 1 / batch,
          });
          return;
        }
        // A graph that takes few examples at a time adds to a row several times.
        const own = Math.max(1, count / batch);
        const firstRow = Math.floor(start / batch);
        const units = Math.min(group, gradient.units);
        addRows(denseOf(param, pool.dtype), gradient, { firstRow, group: units, own, scale: 1 / batch, pool });
      },
    }),
    blocks: () =>
      params.map(({ name, live }): GradientBlock => {
        const found = factors.get(name);
        if (found) return { kind: "factored", param: name, ...found };
        // A weight that nothing asked about has zero gradients.
        return { kind: "dense", param: name, rows: dense.get(name) ?? alloc(rows, live.data.length, "f32") };
      }),
  };
}

function keepFactors(
  full: { delta: Mat; input: Mat },
  { delta, input }: { delta: Mat; input: Mat },
  { first, units, scale }: { first: number; units: number; scale: number },
): void {
  full.input.data.set(input.data.subarray(0, units * input.cols), first * input.cols);
  const target = full.delta.data.subarray(first * delta.cols, (first + units) * delta.cols);
  for (let i = 0; i < target.length; i++) {
    const value = delta.data[i]! * scale;
    target[i] = Math.abs(value) < negligible ? 0 : value;
  }
}

/** Adds: a weight that several steps use has the sum of their gradients. */
function addRows(
  out: Mat,
  gradient: WeightGradient,
  at: { firstRow: number; group: number; own: number; scale: number; pool: Pool },
): void {
  const { firstRow, group, own, scale, pool } = at;
  const count = Math.ceil(gradient.units / group);
  const fresh = pool.take(count * out.cols);
  gradient.rows(group, matrix(count, out.cols, fresh));
  const target = out.data.subarray(firstRow * out.cols, (firstRow + own) * out.cols);
  pool.kernels.axpy(scale, fresh.subarray(0, target.length), target);
  pool.give(fresh);
}
