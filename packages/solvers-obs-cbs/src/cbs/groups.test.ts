import {
  bindBudget,
  countKept,
  createRng,
  createRunContext,
  type Dtype,
  type FactorView,
  type FlatParam,
  groupUnits,
  keepCount,
  keptWeights,
  type Mask,
  type Mat,
  type Problem,
  type Units,
  type Vec,
  weightMask,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import { combinatorial, denseHessian, exactOn, masks, randomProblem, withoutColumns } from "../problem.test-support.ts";
import { cbs, cbsSelector } from "./cbs.ts";
import { cbsModel, cbsPoint } from "./cbs-model.ts";
import { magnitudeStart, partitionStart, saliencyStart } from "./cbs-starts.ts";
import { type SwapPool, swap, swapGain } from "./swap-pool.ts";
import { ownProducts, type UnitProblem, unitBlock } from "./unit-products.ts";

const ctx = createRunContext();

/** Groups of one to three weights whose members are no neighbours. */
function unevenGroups(count: number): Units {
  const groups = Array.from({ length: count }, (): number[] => []);
  let size = 0;
  for (let round = 0; round < 3; round++) {
    for (let g = 0; g < count; g++) if (g % 3 >= round) groups[g]!.push(size++);
  }
  return groupUnits({ size, groups: groups.map((group) => Uint32Array.from(group)) });
}

const sizeOf = (units: Units): number => keptWeights(units, new Uint8Array(units.count).fill(1)).length;

function groupedProblem(spec: { count: number; keep: number; seed?: number; n?: number }): Problem {
  const { count, keep, seed = 0, n = 6 } = spec;
  const units = unevenGroups(count);
  return {
    ...randomProblem({ n, p: sizeOf(units), keep: 0, seed }),
    units,
    constraint: keepCount({ count, keep }),
  };
}

const f = (problem: Problem, H: Mat, mask: Mask): number => combinatorial(problem, H, weightMask(problem.units, mask));

/** w_a' H_ab w_b, written out. */
function pairs({ units, w }: Problem, H: Mat): number[][] {
  const all = Array.from({ length: units.count }, (_, unit) => [...units.indices(unit)]);
  return all.map((a) =>
    all.map((b) =>
      a.reduce(
        (sum, i) => sum + b.reduce((inner, j) => inner + w.data[i]! * H.data[i * H.cols + j]! * w.data[j]!, 0),
        0,
      ),
    ),
  );
}

function unitProblem(problem: Problem): UnitProblem {
  const { curvature, units, w } = problem;
  const view = curvature.factor!();
  return { view, kernels: ctx.kernels, units, w: w.data };
}

describe("products of groups", () => {
  const ways: Record<string, (one: UnitProblem) => UnitProblem> = {
    "columns of stored rows": (one) => one,
    "Gram matrices of columns": (one) => one,
    "small factors": (one) => ({ ...one, view: { ...one.view, columnGramCost: 1 } }),
  };
  test.each(Object.keys(ways))("are w_a'H_ab w_b, by %s", async (way) => {
    // More rows than what counts as a cheap entry of a Gram matrix.
    const problem = groupedProblem({ count: 9, keep: 4, n: 20 });
    const H = await denseHessian(problem);
    const expected = pairs(problem, H);
    const one = ways[way]!(unitProblem(way === "columns of stored rows" ? problem : withoutColumns(problem)));
    const members = Uint32Array.of(0, 2, 3, 7, 8);
    const B = await unitBlock(one, members, ctx);
    members.forEach((a, s) => {
      // Sums of some ten products of order one in f64.
      members.forEach((b, t) => {
        expect(B[s * members.length + t]).toBeCloseTo(expected[a]![b]!, 11);
      });
    });
    // Many small groups whose columns are dear have what their weights have each, see below.
    const isExact = way === "columns of stored rows" || way === "small factors";
    const own = await ownProducts(one, ctx);
    expected.forEach((row, a) => {
      const each = [...problem.units.indices(a)].map((j) => H.data[j * (H.cols + 1)]! * problem.w.data[j]! ** 2);
      const sum = each.reduce((total, value) => total + value, 0);
      expect(own[a]).toBeCloseTo(isExact ? row[a]! : sum, 11);
    });
  });
});

describe("products of groups whose rows exist only as products", () => {
  /** 700 weights each: together more than a Gram matrix of columns is taken of. */
  const count = 3;
  const size = 700 * count;
  const groups = Array.from({ length: count }, (_, g) => Uint32Array.from({ length: 700 }, (_, i) => count * i + g));
  const stored = { ...randomProblem({ n: 5, p: size, keep: 0 }), units: groupUnits({ size, groups }) };
  const all = Uint32Array.from(groups.keys());

  test("are those of stored rows, also for many weights together", async () => {
    const products = unitProblem(withoutColumns(stored));
    const [expected, B] = [await unitBlock(unitProblem(stored), all, ctx), await unitBlock(products, all, ctx)];
    const own = await ownProducts(products, ctx);
    const scale = Math.max(...expected.map(Math.abs));
    // Sums of some 700 products in f64.
    expected.forEach((value, e) => {
      expect(Math.abs(B[e]! - value)).toBeLessThan(1e-12 * scale);
    });
    for (const g of all) expect(Math.abs(own[g]! - expected[g * (count + 1)]!)).toBeLessThan(1e-12 * scale);
  });

  test("take no matrix of as many rows as weights, where a curvature has so many, as Kronecker factors have", async () => {
    const diagonal = Float64Array.from({ length: size }, (_, j) => 1 + (j % 7));
    const over = (d: Float64Array): FactorView => ({
      ...{ rows: size, dim: d.length, scale: 1, damping: 0.5, dtype: "f64", productCost: size, columnGramCost: 1 },
      times: () => expect.unreachable(),
      transposeTimes: () => expect.unreachable(),
      gramTimes: (x, out) => out.set(Float64Array.from(x, (value, j) => d[j]! * value)),
      columnGram: () => expect.unreachable(),
      restricted: (support) => ({ ...over(Float64Array.from(support, (j) => d[j]!)), release: () => {} }),
      columnNormsSquared: () => d,
    });
    const taken: number[] = [];
    const alloc = (length: number, dtype: Dtype): Vec => {
      taken.push(length);
      return ctx.kernels.alloc(length, dtype);
    };
    const one = { ...unitProblem(stored), view: over(diagonal), kernels: { ...ctx.kernels, alloc } };
    const [B, own] = [await unitBlock(one, all, ctx), await ownProducts(one, ctx)];
    for (const a of all) {
      const expected = groups[a]!.reduce((sum, j) => sum + (diagonal[j]! + 0.5) * stored.w.data[j]! ** 2, 0);
      expect(own[a]! / expected).toBeCloseTo(1, 12);
      expect(B[a * count + a]! / expected).toBeCloseTo(1, 12);
      expect(B[a * count + ((a + 1) % count)]).toBe(0);
    }
    expect(Math.max(0, ...taken)).toBeLessThanOrEqual(size);
  });

  test("are interrupted between two of them", async () => {
    const controller = new AbortController();
    const aborting = createRunContext({ signal: controller.signal, onEvent: () => controller.abort() });
    const products = unitProblem(withoutColumns(stored));
    await expect(ownProducts(products, aborting)).rejects.toMatchObject({ code: "ERR_ABORTED" });
    await expect(unitBlock(products, all, aborting)).rejects.toMatchObject({ code: "ERR_ABORTED" });
  });
});

describe("CBS-S over groups", () => {
  test("has gains that are the decrease of f, for every pair, also after other swaps", async () => {
    const problem = groupedProblem({ count: 9, keep: 4 });
    const H = await denseHessian(problem);
    const start = magnitudeStart(problem);
    const model = await cbsModel(problem, ctx);
    const { v, value } = await cbsPoint(model, start);
    expect(value).toBeCloseTo(f(problem, H, start), 11);
    const all = Uint32Array.from(start.keys());
    const B = await unitBlock(model.products, all, ctx);
    const pool: SwapPool = { B, v: v.slice(), pruned: start.map((bit) => 1 - bit) };
    const rng = createRng("groups");
    const chosen = (bit: number): number[] => [...all].filter((unit) => pool.pruned[unit] === bit);
    for (let round = 0; round < 5; round++) {
      const now = pool.pruned.map((bit) => 1 - bit);
      for (const i of chosen(1)) {
        for (const j of chosen(0)) {
          const after = now.slice();
          after[i] = 1;
          after[j] = 0;
          expect(swapGain(pool, i, j)).toBeCloseTo(f(problem, H, now) - f(problem, H, after), 10);
        }
      }
      const [outs, intos] = [chosen(1), chosen(0)];
      swap(pool, outs[rng.integer(outs.length)]!, intos[rng.integer(intos.length)]!);
    }
  });

  test.each(["best", "published"] as const)(
    "never loses to its start and is often the best of all masks of so many groups, by the %s search",
    async (search) => {
      let optimal = 0;
      for (let seed = 0; seed < 20; seed++) {
        const problem = groupedProblem({ count: 11, keep: 5, seed });
        const H = await denseHessian(problem);
        const mask = await cbsSelector({ search, draws: 10, starts: 4 }).select(problem, ctx);
        expect(countKept(mask)).toBe(5);
        const found = f(problem, H, mask);
        expect(found).toBeLessThanOrEqual(f(problem, H, magnitudeStart(problem)) + 1e-12);
        let best = Number.POSITIVE_INFINITY;
        for (const other of masks(11, 5)) best = Math.min(best, f(problem, H, other));
        expect(found).toBeGreaterThanOrEqual(best - 1e-10);
        if (found <= best + 1e-9) optimal++;
      }
      // Measured: 20 and 17 of 20. Kernels that round otherwise may end a problem or two elsewhere.
      expect(optimal).toBeGreaterThanOrEqual(search === "best" ? 18 : 15);
    },
  );

  test("starts from the groups of largest w_g'H_gg w_g", async () => {
    const problem = groupedProblem({ count: 9, keep: 4 });
    const own = pairs(problem, await denseHessian(problem)).map((row, a) => row[a]!);
    const kept = [...own.keys()].sort((a, b) => own[b]! - own[a]!).slice(0, 4);
    const mask = saliencyStart(await cbsModel(problem, ctx));
    expect([...mask.keys()].filter((unit) => mask[unit] === 1)).toEqual(kept.sort((a, b) => a - b));
  });

  test("re-fits what is left exactly", async () => {
    for (let seed = 0; seed < 5; seed++) {
      const problem = groupedProblem({ count: 8, keep: 3, seed, n: 8 });
      const { mask, w } = await cbs({ steps: 4 }).solve(problem, ctx);
      const exact = exactOn(problem, await denseHessian(problem), weightMask(problem.units, mask));
      exact.forEach((value, j) => {
        expect(w.data[j]).toBeCloseTo(value, 9);
      });
    }
  });
});

describe("CBS-S over groups of unequal sizes within limits", () => {
  /** Blocks of two weights and single ones at the edges; those of one layer are used nine times an example. */
  const params = [18, 2].map((flopsPerWeight, i): FlatParam => {
    const name = `layer${i}`;
    return { name, shape: [3, 3], rows: 3, cols: 3, prunable: true, flopsPerWeight, start: 9 * i, size: 9 };
  });
  const bound = bindBudget(
    {
      limits: [
        { kind: "weights", amount: 0.6 },
        { kind: "flops", amount: 0.5 },
      ],
      units: [{ match: "*", units: { kind: "blocks", rows: 1, cols: 2 } }],
    },
    params,
  );

  test("ends within all of them, from every start, never above it, and is often the best of all masks of so many units within them", async () => {
    let reached = 0;
    for (let seed = 0; seed < 12; seed++) {
      const constraint = bound.constraint(bound.sparsity, ctx.kernels);
      const problem = { ...randomProblem({ n: 7, p: 18, keep: 0, seed, constraint }), units: bound.units };
      const H = await denseHessian(problem);
      const start = magnitudeStart(problem);
      const mask = await cbsSelector({ draws: 3, starts: 4 }).select(problem, ctx);
      expect(constraint.violation(mask)).toBe(0);
      for (let draw = 0; draw < 4; draw++) {
        expect(constraint.violation(partitionStart(problem, createRng(draw)))).toBe(0);
      }
      const found = f(problem, H, mask);
      expect(found).toBeLessThanOrEqual(f(problem, H, start) + 1e-12);
      let best = Number.POSITIVE_INFINITY;
      for (const other of masks(bound.units.count, countKept(mask))) {
        if (constraint.violation(other) === 0) best = Math.min(best, f(problem, H, other));
      }
      expect(found).toBeGreaterThanOrEqual(best - 1e-10);
      if (found <= best + 1e-9) reached++;
      const solved = await cbs().solve(problem, ctx);
      expect(constraint.violation(solved.mask)).toBe(0);
    }
    // Measured: 9 of 12; single swaps within two limits stop earlier than those within a count.
    expect(reached).toBeGreaterThanOrEqual(7);
  });
});
