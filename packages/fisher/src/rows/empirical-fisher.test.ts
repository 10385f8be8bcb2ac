import {
  createRunContext,
  type Estimate,
  type EstimateRequest,
  type FactorView,
  inputRows,
  type Kernels,
  type RunContext,
  type RunEvent,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import { autoRidge } from "../auto-ridge.ts";
import {
  allParams,
  countingContext,
  denseOf,
  gap,
  randomData,
  randomNetwork,
  requestFor,
} from "../network.test-support.ts";
import { type EmpiricalFisherOptions, empiricalFisher } from "./empirical-fisher.ts";

const ctx = createRunContext();
const [size, classes] = [24, 3];
const data = randomData({ size, features: 5, classes });
const network = randomNetwork([5, 4, classes]);
const dim = 5 * 4 + 4 + 4 * classes + classes;
const layouts = ["factored", "dense", "auto"] as const;

function estimateWith(
  options: EmpiricalFisherOptions = {},
  request: Partial<EstimateRequest> = {},
  context: RunContext = ctx,
): Promise<Estimate> {
  return empiricalFisher(options).estimate(requestFor(network, data, request), context);
}

const viewOf = (estimate: Estimate, factor?: number): FactorView => estimate.curvature(factor).factor!();
const rowsOf = (view: FactorView) => denseOf(view.rows, view.dim, view.times);

describe("the empirical Fisher", () => {
  test.each([1, 2, 3, 6])("has as rows the gradients of the mean loss of %i examples each", async (batch) => {
    const rows = 4;
    const estimate = await estimateWith({}, { examples: rows, batch, ridge: 0 });
    const view = viewOf(estimate);
    expect([view.rows, view.dim, view.scale, view.damping]).toEqual([rows, dim, 1 / rows, 0]);
    expect(estimate.sample.size).toBe(rows * batch);
    const G = await rowsOf(view);
    for (let r = 0; r < rows; r++) {
      const own = Uint32Array.from({ length: batch }, (_, i) => r * batch + i);
      const { gradient } = await network.meanGradient(
        { params: allParams(network), data: estimate.sample, examples: own },
        ctx,
      );
      expect(gap(G.data.subarray(r * dim, (r + 1) * dim), gradient)).toBeLessThan(1e-14); // f64 sums of up to six terms
    }
  });

  test.each([1, 3, 6])("is the same in every layout, with rows of %i examples", async (batch) => {
    const [factored, dense, auto] = await Promise.all(
      layouts.map((layout) => estimateWith({ layout }, { examples: 4, batch, firstOrder: true })),
    );
    for (const other of [dense!, auto!]) {
      // f64 sums in another order.
      expect(gap((await rowsOf(viewOf(other))).data, (await rowsOf(viewOf(factored!))).data)).toBeLessThan(1e-14);
      expect(gap(other.curvature().diagonal(), factored!.curvature().diagonal())).toBeLessThan(1e-14);
      expect(gap(other.gradient!.data, factored!.gradient!.data)).toBeLessThan(1e-7); // f32 at the worst
      expect(other.chosen.ridge).toBeCloseTo(factored!.chosen.ridge, 14);
      expect(other.loss).toBe(factored!.loss);
    }
  });

  test("has as its gradient the mean row, the gradient of the mean loss of its examples, and only when asked", async () => {
    for (const batch of [1, 2]) {
      const estimate = await estimateWith({}, { examples: 8, batch, firstOrder: true });
      const own = Uint32Array.from({ length: 8 * batch }, (_, i) => i);
      const mean = await network.meanGradient(
        { params: allParams(network), data: estimate.sample, examples: own },
        ctx,
      );
      expect(gap(estimate.gradient!.data, mean.gradient)).toBeLessThan(1e-7); // f32 at the worst
      expect(estimate.loss).toBeCloseTo(mean.loss, 12);
    }
    expect((await estimateWith()).gradient).toBeUndefined();
  });

  test("over some parameters has their columns only, in the order asked for", async () => {
    const all = await rowsOf(viewOf(await estimateWith({}, { ridge: 0 })));
    const params = ["fc2.weight", "fc1.weight"];
    const some = await rowsOf(viewOf(await estimateWith({}, { ridge: 0, params })));
    expect(some.cols).toBe(32);
    for (let r = 0; r < size; r++) {
      const [whole, part] = [all.data.subarray(r * dim, (r + 1) * dim), some.data.subarray(r * 32, (r + 1) * 32)];
      expect(gap(part.subarray(0, 12), whole.subarray(24, 36))).toBe(0);
      expect(gap(part.subarray(12), whole.subarray(0, 20))).toBe(0);
    }
  });

  test("has an automatic ridge of half of trace(H) / n over the kept weights, multiplied on request", async () => {
    const kept = Uint8Array.from({ length: dim }, (_, j) => (j % 4 === 1 ? 1 : 0));
    const bare = await estimateWith({}, { examples: 10, ridge: 0 });
    const diagonal = bare.curvature().diagonal();
    let [all, part] = [0, 0];
    for (let j = 0; j < dim; j++) {
      all += diagonal[j]!;
      if (kept[j] === 1) part += diagonal[j]!;
    }
    expect((await estimateWith({}, { examples: 10 })).chosen.ridge).toBeCloseTo((0.5 * all) / 10, 14);
    const estimate = await estimateWith({}, { examples: 10, ridge: "auto", kept });
    expect(estimate.chosen.ridge).toBeCloseTo((0.5 * part) / 10, 14);
    expect([viewOf(estimate).damping, viewOf(estimate, 3).damping]).toEqual([
      estimate.chosen.ridge,
      3 * estimate.chosen.ridge,
    ]);
    expect(estimate.curvature(3).diagonal()[7]).toBeCloseTo(diagonal[7]! + 3 * estimate.chosen.ridge, 14);
    // The rule itself, on any view.
    expect(autoRidge(viewOf(bare), 10)).toBeCloseTo((0.5 * all) / 10, 14);
    expect(autoRidge({ ...viewOf(bare), scale: 7 * viewOf(bare).scale }, 10)).toBeCloseTo((3.5 * all) / 10, 13);
  });

  test("takes its own options before those of the run, and those before its defaults", async () => {
    const asked = { examples: 5, batch: 2, ridge: 0.5 };
    expect((await estimateWith({}, asked)).chosen).toEqual(asked);
    expect((await estimateWith({ examples: 3, batch: 4, ridge: 0.1 }, asked)).chosen).toEqual({
      examples: 3,
      batch: 4,
      ridge: 0.1,
    });
    const { examples: _, batch: __, ...open } = requestFor(network, randomData({ size: 1001, features: 5, classes }));
    expect((await empiricalFisher().estimate(open, ctx)).chosen).toMatchObject({ examples: 1000, batch: 1 });
  });

  test("draws its examples from the run's seed, without replacement", async () => {
    const draw = async (seed: number): Promise<Float64Array> => {
      const { sample } = await estimateWith({}, { examples: 6, batch: 2 }, createRunContext({ seed }));
      return Float64Array.from(inputRows(await sample.batch(Uint32Array.from({ length: 12 }, (_, i) => i))).data);
    };
    expect(await draw(1)).toEqual(await draw(1));
    expect(await draw(2)).not.toEqual(await draw(1));
    // No two of the twelve inputs are the same.
    const first = (await draw(1)).filter((_, i) => i % 5 === 0);
    expect(new Set(first).size).toBe(12);
  });

  test.each(layouts)("frees all that it took, in layout %s", async (layout) => {
    for (const batch of [1, 6]) {
      const { ctx: counted, live } = countingContext();
      const estimate = await estimateWith({ layout }, { examples: 4, batch, firstOrder: true }, counted);
      const curvature = estimate.curvature();
      const out = new Float64Array(dim);
      await curvature.apply(new Float64Array(dim).fill(1), out);
      expect(out.every(Number.isFinite)).toBe(true);
      expect(Array.from(curvature.diagonal()).every(Number.isFinite)).toBe(true);
      estimate.release();
      expect(live()).toBe(0);
    }
  });

  test("takes rows that are written out in pieces, and never holds the factors of all examples beside them", async () => {
    const many = randomData({ size: 6000, features: 5, classes });
    const [rows, batch] = [1000, 6];
    let [live, peak] = [0, 0];
    const sizes = new Map<object, number>();
    const kernels: Kernels = {
      ...ctx.kernels,
      alloc(length, dtype) {
        const vector = ctx.kernels.alloc(length, dtype);
        sizes.set(vector, length);
        live += length;
        peak = Math.max(peak, live);
        return vector;
      },
      free(vector) {
        live -= sizes.get(vector) ?? 0; // ones of biases are nobody's
        ctx.kernels.free(vector);
      },
    };
    const ask = (layout: "dense" | "factored", seen: RunEvent[] = []) =>
      empiricalFisher({ layout }).estimate(requestFor(network, many, { examples: rows, batch, ridge: 0 }), {
        ...createRunContext({ onEvent: (event) => seen.push(event) }),
        ...(layout === "dense" ? { kernels } : {}),
      });
    const events: RunEvent[] = [];
    const pieces = await ask("dense", events);
    const numbers = live;
    expect(numbers).toBe(rows * dim);
    // Two thousand examples a piece of six thousand; the scratch of a pass comes on top.
    const factors = rows * batch * (5 + 4 + 4 + classes);
    expect(peak - numbers).toBeLessThan(0.75 * factors);
    const whole = await ask("factored");
    expect(gap((await rowsOf(viewOf(pieces))).data, (await rowsOf(viewOf(whole))).data)).toBeLessThan(1e-14); // f64 sums of six terms
    expect(pieces.loss).toBeCloseTo(whole.loss, 12); // a mean of means
    const done = events.flatMap((event) => (event.type === "progress" ? [event.done / event.total!] : []));
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(done.at(-1)).toBe(1);
    pieces.release();
    expect(live).toBe(0);
  });

  test.each([
    ["ERR_IMPOSSIBLE", { examples: size + 1 }],
    ["ERR_IMPOSSIBLE", { examples: 9, batch: 3 }],
    ["ERR_OPTION", { ridge: -1e-9 }],
    ["ERR_OPTION", { ridge: Number.NaN }],
    ["ERR_OPTION", { ridge: Number.POSITIVE_INFINITY }],
    ["ERR_OPTION", { examples: 0 }],
    ["ERR_OPTION", { batch: 0.5 }],
  ])("refuses with %s: %j", async (code, wrong) => {
    await expect(estimateWith({}, wrong)).rejects.toMatchObject({ code, fault: "input" });
  });

  test("says how many examples are there and how many are needed", async () => {
    await expect(estimateWith({}, { examples: 9, batch: 3 })).rejects.toThrow(
      "9 rows of 3 examples need 27 of the 24 examples in 'random'",
    );
  });

  test("refuses a model without gradient rows, naming what would do", async () => {
    const { gradientRows: _, ...model } = network;
    await expect(empiricalFisher().estimate({ ...requestFor(network, data), model }, ctx)).rejects.toThrow(
      /'mlp' has no gradientRows\(\); use a model adapter that offers them/,
    );
  });
});
