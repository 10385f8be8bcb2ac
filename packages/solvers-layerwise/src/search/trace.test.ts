import { createWasmKernels } from "@secateur/backends-wasm";
import { createRunContext, keepOfEvery, matrix } from "@secateur/core";
import { expect, test } from "vitest";
import { bestOnMask, keeping, layerOf } from "../layer.test-support.ts";
import { obc, obcTrace } from "../methods/obc.ts";
import { layerProblem } from "../problem/layer-problem.ts";
import { removalTrace } from "./trace.ts";

/** Removes from a row, one by one, the weight that leaves the least loss with all others re-fitted: every candidate is tried. */
function greedyByTrial(
  H: Parameters<typeof bestOnMask>[0],
  w0: Float64Array,
  may: (j: number, mask: Uint8Array) => boolean,
) {
  const mask = new Uint8Array(w0.length).fill(1);
  const order: number[] = [];
  const totals: number[] = [0];
  for (;;) {
    let [best, least] = [-1, Number.POSITIVE_INFINITY];
    for (let j = 0; j < w0.length; j++) {
      if (mask[j] === 0 || !may(j, mask)) continue;
      mask[j] = 0;
      const { loss } = bestOnMask(H, w0, mask);
      mask[j] = 1;
      if (loss < least) [best, least] = [j, loss];
    }
    if (best < 0) return { order, totals };
    mask[best] = 0;
    order.push(best);
    totals.push(least);
  }
}

test("the trace is greedy OBS: the order and the losses of trying every removal with an exact re-fit", async () => {
  const problem = layerOf({ rows: 3, cols: 14, constraint: keeping(10) });
  const { order, losses } = await obcTrace(problem, createRunContext());
  for (let r = 0; r < 3; r++) {
    const w0 = Float64Array.from(problem.w.data.subarray(r * 14, (r + 1) * 14));
    const expected = greedyByTrial(problem.curvature.gram!(), w0, () => true);
    expect([...order.subarray(r * 14, (r + 1) * 14)]).toEqual(expected.order);
    let total = 0;
    for (let t = 0; t < 14; t++) {
      total += losses[r * 14 + t]!;
      // Both are sums of a dozen f64 terms of a system with condition number about 1e3.
      expect(total).toBeCloseTo(expected.totals[t + 1]!, 9);
    }
  }
});

test("the trace of 'keep of every' is the greedy one with full groups barred", async () => {
  const pattern = { keep: 2, of: 4 };
  const problem = layerOf({
    rows: 2,
    cols: 12,
    seed: 3,
    constraint: (count) => keepOfEvery({ count, cols: 12, ...pattern }),
  });
  const ctx = createRunContext();
  const layer = await layerProblem(problem, ctx);
  const trace = await removalTrace(layer, { pattern }, ctx);
  for (let r = 0; r < 2; r++) {
    const w0 = Float64Array.from(problem.w.data.subarray(r * 12, (r + 1) * 12));
    const may = (j: number, mask: Uint8Array): boolean => {
      const group = j - (j % 4);
      return mask.subarray(group, group + 4).reduce((sum, bit) => sum + bit, 0) > 2;
    };
    const { order } = greedyByTrial(problem.curvature.gram!(), w0, may);
    expect(trace.counts[r]).toBe(6);
    expect([...trace.order.subarray(r * 12, r * 12 + 6)]).toEqual(order);
  }
});

test("more removals than one batch give the same order in plain TypeScript and on WebAssembly, and its losses are Q", async () => {
  const problem = layerOf({ rows: 2, cols: 120, constraint: keeping(40) });
  const plain = await obcTrace(problem, createRunContext());
  const kernels = await createWasmKernels({ threads: 1 });
  const fast = await obcTrace(problem, createRunContext({ kernels }));
  await kernels.close();
  expect([...fast.order]).toEqual([...plain.order]);
  const w0 = Float64Array.from(problem.w.data.subarray(0, 120));
  const mask = new Uint8Array(120).fill(1);
  let total = 0;
  for (let t = 0; t < 100; t++) {
    mask[plain.order[t]!] = 0;
    total += plain.losses[t]!;
  }
  const { loss } = bestOnMask(problem.curvature.gram!(), w0, mask);
  // A hundred rank-one updates lose a few digits of the sixteen.
  expect(Math.abs(total - loss)).toBeLessThan(1e-9 * loss);
});

test("one pass serves every sparsity: the losses of the removals add up to the objective of each solution", async () => {
  for (const keep of [12, 24, 33]) {
    const problem = layerOf({ rows: 4, cols: 12, constraint: keeping(keep) });
    const { losses } = await obcTrace(problem, createRunContext());
    const { objective, mask } = await obc().solve(problem, createRunContext());
    let total = 0;
    for (let r = 0; r < 4; r++) {
      const removed = mask.subarray(r * 12, (r + 1) * 12).reduce((sum, bit) => sum + 1 - bit, 0);
      for (let t = 0; t < removed; t++) total += losses[r * 12 + t]!;
    }
    expect(objective).toBeCloseTo(total, 9);
  }
});

test("a re-fit by conjugate gradients, as of long rows, is not called exact", async () => {
  const short = layerOf({ rows: 1, cols: 14, constraint: keeping(10) });
  expect((await obc().solve(short, createRunContext())).status).toBe("exact");
  // Long enough for some products to cost less than a factorisation.
  const n = 520;
  const H = matrix(n, n, new Float64Array(n * n));
  for (let i = 0; i < n; i++) {
    H.data[i * n + i] = 1 + 0.1 * Math.sin(i);
    if (i > 0) H.data[i * n + i - 1] = H.data[(i - 1) * n + i] = 0.4;
  }
  const long = layerOf({ rows: 1, cols: n, H, constraint: keeping(n - 4) });
  const { w, mask, status } = await obc().solve(long, createRunContext());
  expect(status).toBe("converged");
  for (let i = 0; i < n; i++) {
    if (mask[i] === 0) continue;
    let slope = 0;
    for (let j = 0; j < n; j++) slope += H.data[i * n + j]! * (w.data[j]! - long.w.data[j]!);
    // Conjugate gradients end at a residual of 1e-4 of b, whose length is below 40.
    expect(Math.abs(slope)).toBeLessThan(4e-3);
  }
});
