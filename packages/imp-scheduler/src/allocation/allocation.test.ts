import {
  type BoundedLayer,
  createRng,
  createRunContext,
  keptCount,
  layoutParams,
  type Model,
  matchesPattern,
  matrix,
  prune,
  readFlat,
} from "@secateur/core";
import { createNetwork, mlp } from "@secateur/nn";
import { magnitude } from "@secateur/solvers-magnitude";
import { describe, expect, test } from "vitest";
import { type AllocationOptions, allocation, allocationNames } from "./allocation.ts";
import { lampScores } from "./lamp.ts";
import { apportion } from "./layer-budget.ts";
import { layeredConstraint } from "./layered-constraint.ts";
import { random } from "./random-solver.ts";

const { kernels } = createRunContext();

function layersOf(
  shapes: readonly (readonly number[])[],
  bounds: readonly (readonly [number, number])[] = [],
): BoundedLayer[] {
  let start = 0;
  return shapes.map((shape, l) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    const layer = {
      name: `fc${l + 1}.weight`,
      shape,
      start,
      size,
      least: bounds[l]?.[0] ?? 0,
      most: bounds[l]?.[1] ?? size,
    };
    start += size;
    return layer;
  });
}

const network = () => createNetwork(mlp({ sizes: [12, 10, 8, 4], bias: false }), { seed: 5 });

async function keptBy(options: AllocationOptions, sparsity: number, model: Model = network()): Promise<number[]> {
  const { layers, kept, prunable } = await prune({ model, solver: magnitude(), sparsity, budget: allocation(options) });
  expect(kept).toBe(keptCount(prunable, sparsity)); // exact, whatever the allocation
  return layers.map(({ nonzeros }) => nonzeros);
}

describe("allocation", () => {
  test("within a limit on operations keeps as much as the limit allows, spread by its own rule", async () => {
    for (const method of ["uniform", "erk", "lamp"] as const) {
      const budget = { limits: [{ kind: "flops", amount: 0.3 }], allocation: allocation({ method }) } as const;
      const { layers, limits, kept, prunable } = await prune({ model: network(), solver: magnitude(), budget });
      expect(limits).toMatchObject([{ kind: "flops", asked: 0.3 }]);
      // Every weight of a dense layer is used once, so operations are weights, and one more would be too many.
      expect(kept).toBe(Math.floor(0.3 * prunable));
      expect(layers.map(({ nonzeros }) => nonzeros)).toEqual(await keptBy({ method }, 1 - kept / prunable));
    }
    const blocks = [{ match: "*", units: { kind: "rows" } }] as const;
    const limits = [{ kind: "flops", amount: 0.3 }] as const;
    const budget = { limits, units: blocks, allocation: allocation({ method: "erk" }) };
    await expect(prune({ model: network(), solver: magnitude(), budget })).rejects.toThrow(/spreads single weights/);
  });

  test("keeps the exact total by every method at every sparsity", async () => {
    for (const method of allocationNames) {
      for (const sparsity of [0, 0.13, 0.5, 0.77, 0.9, 0.96]) {
        await keptBy({ method }, sparsity);
      }
    }
  });

  test("uniform keeps the same fraction of each layer, to a weight", async () => {
    const kept = await keptBy({ method: "uniform" }, 0.7);
    [120, 80, 32].forEach((size, l) => {
      expect(Math.abs(kept[l]! - 0.3 * size)).toBeLessThan(1);
    });
  });

  test("uniform+ keeps at least a fifth of the last dense layer and the whole first convolution", async () => {
    const kept = await keptBy({ method: "uniform+" }, 0.9);
    expect(kept[2]).toBe(7); // ceil(0.2 * 32)
    const layers = layersOf([
      [4, 1, 3, 3],
      [8, 36],
      [4, 8],
    ]);
    const params = layers.map((layer) => ({
      ...layer,
      rows: layer.shape[0]!,
      cols: layer.size / layer.shape[0]!,
      prunable: true,
      flopsPerWeight: 2,
    }));
    const weights = Float32Array.from({ length: 356 }, (_, j) => j + 1);
    const rule = allocation({ method: "uniform+" });
    const mask = rule
      .constraint({ sparsity: 0.8, params, weights, eligible: undefined }, createRunContext())
      .select(weights);
    expect(mask.subarray(0, 36).every((bit) => bit === 1)).toBe(true);
  });

  test("erk keeps weights in proportion to the sum of a layer's dimensions, over-full layers dense, against brute force", async () => {
    // The largest epsilon with sum of min(size, eps * score) = keep, by bisection.
    const scores = [22, 18, 12];
    const sizes = [120, 80, 32];
    for (const sparsity of [0.9, 0.6, 0.3]) {
      const keep = keptCount(232, sparsity);
      let [low, high] = [0, 1000];
      for (let i = 0; i < 100; i++) {
        const mid = (low + high) / 2;
        const total = scores.reduce((sum, score, l) => sum + Math.min(sizes[l]!, mid * score), 0);
        if (total < keep) low = mid;
        else high = mid;
      }
      const kept = await keptBy({ method: "erk" }, sparsity);
      kept.forEach((count, l) => {
        expect(Math.abs(count - Math.min(sizes[l]!, low * scores[l]!))).toBeLessThan(1); // rounding to whole weights
      });
    }
  });

  test("lamp keeps the weights of highest score by its definition, against brute force", async () => {
    const model = network();
    const weights = await readFlat(model, layoutParams(model));
    const layers = layersOf([
      [10, 12],
      [8, 10],
      [4, 8],
    ]);
    const scores = lampScores(weights, layers);
    for (const { start, size } of layers) {
      for (let u = start; u < start + size; u++) {
        let larger = 0;
        for (let v = start; v < start + size; v++)
          if (Math.abs(weights[v]!) >= Math.abs(weights[u]!)) larger += weights[v]! ** 2;
        expect(scores[u]).toBeCloseTo(weights[u]! ** 2 / larger, 12); // the same sum in another order
      }
    }
    const keep = keptCount(232, 0.9);
    const best = [...scores]
      .map((score, j) => [score, j] as const)
      .sort((a, b) => b[0] - a[0])
      .slice(0, keep)
      .map(([, j]) => j);
    await keptBy({ method: "lamp" }, 0.9, model);
    const after = await readFlat(model, layoutParams(model));
    expect([...after.keys()].filter((j) => after[j] !== 0)).toEqual(best.sort((a, b) => a - b));
  });

  test("random draws its counts from the seed alone", async () => {
    const a = await keptBy({ method: "random" }, 0.5);
    expect(await keptBy({ method: "random" }, 0.5)).toEqual(a);
    // A draw of 116 of 232 gives each layer half of it, within five standard deviations of at most 4 weights.
    [60, 40, 16].forEach((mean, l) => {
      expect(Math.abs(a[l]! - mean)).toBeLessThan(20);
    });
  });

  test("leaves excluded layers dense and holds limits, and the total is still exact", async () => {
    for (const method of allocationNames) {
      const kept = await keptBy({ method, exclude: ["fc3"], limits: { "fc2*": 0.75 } }, 0.6);
      expect(kept[2]).toBe(32);
      expect(kept[1]).toBeGreaterThanOrEqual(20);
    }
  });

  test("refuses bounds that leave no room, with the sparsity that would fit", async () => {
    await expect(keptBy({ exclude: ["fc1", "fc2"] }, 0.9)).rejects.toThrow(/at most 0.137931/); // 1 - 200 / 232
    await expect(keptBy({ exclude: ["fc9"] }, 0.5)).rejects.toThrow(/no layer matches 'fc9'.*fc1.weight/);
    expect(() => allocation({ limits: { fc1: 1.5 } })).toThrow(/sparsity from 0 to 1/);
  });

  test("does not give back in a later stage what an earlier one took, without regrowth", async () => {
    for (const method of allocationNames) {
      const model = network();
      const first = await prune({
        model,
        solver: magnitude(),
        sparsity: 0.5,
        budget: allocation({ method }),
        plan: { regrow: false },
      });
      const second = await prune({
        model,
        solver: magnitude(),
        sparsity: 0.8,
        budget: allocation({ method }),
        plan: { regrow: false },
        mask: first.mask,
      });
      expect(second.kept).toBe(keptCount(232, 0.8));
      expect(second.mask.every((bit, j) => bit <= first.mask[j]!)).toBe(true);
    }
  });

  test("patterns fit whole names, with * for anything", () => {
    expect(matchesPattern("layer3.*", "layer3.0.conv1.weight")).toBe(true);
    expect(matchesPattern("fc1", "fc10")).toBe(false);
    expect(matchesPattern("*conv*", "layer3.0.conv1")).toBe(true);
    expect(matchesPattern("a+b", "aab")).toBe(false);
  });

  test("the random solver keeps k weights, others with another seed", async () => {
    const masks = await Promise.all(
      [0, 0, 1].map(async (seed) => (await prune({ model: network(), solver: random(), sparsity: 0.5, seed })).mask),
    );
    expect(masks[0]).toEqual(masks[1]);
    expect(masks[0]).not.toEqual(masks[2]);
    expect(masks[0]!.reduce((sum, bit) => sum + bit, 0)).toBe(116);
  });
});

describe("apportion", () => {
  test("gives exact totals within the bounds, for random layers", () => {
    const rng = createRng(3);
    for (let trial = 0; trial < 200; trial++) {
      const layers = layersOf(
        Array.from({ length: 1 + rng.integer(5) }, () => [1 + rng.integer(20), 1 + rng.integer(20)]),
      );
      const bounded = layers.map((layer) => {
        const least = rng.integer(layer.size + 1);
        return { ...layer, least, most: least + rng.integer(layer.size - least + 1) };
      });
      const [low, high] = [bounded.reduce((s, l) => s + l.least, 0), bounded.reduce((s, l) => s + l.most, 0)];
      const keep = low + rng.integer(high - low + 1);
      const kept = apportion(
        bounded,
        bounded.map(() => rng.next()),
        keep,
      );
      expect(kept.reduce((sum, count) => sum + count, 0)).toBe(keep);
      kept.forEach((count, l) => {
        expect(count).toBeGreaterThanOrEqual(bounded[l]!.least);
        expect(count).toBeLessThanOrEqual(bounded[l]!.most);
      });
    }
  });
});

describe("a constraint with bounds by layer", () => {
  const layers = layersOf(
    [
      [1, 4],
      [1, 3],
    ],
    [
      [1, 3],
      [1, 3],
    ],
  );
  const constraint = layeredConstraint({ layers, keep: 4, kernels });

  /** All feasible masks. */
  function feasible(): readonly Uint8Array[] {
    return Array.from({ length: 128 }, (_, code) => Uint8Array.from({ length: 7 }, (_b, j) => (code >> j) & 1)).filter(
      (mask) => constraint.violation(mask) === 0 && mask.reduce((sum, bit) => sum + bit, 0) === 4,
    );
  }

  test("selects the best feasible mask, against all of them", () => {
    const rng = createRng(1);
    const total = (mask: Uint8Array, score: Float64Array) => score.reduce((sum, value, j) => sum + value * mask[j]!, 0);
    for (let trial = 0; trial < 100; trial++) {
      const score = Float64Array.from({ length: 7 }, () => rng.normal());
      const best = Math.max(...feasible().map((mask) => total(mask, score)));
      const mask = constraint.select(score);
      expect(constraint.violation(mask)).toBe(0);
      expect(total(mask, score)).toBeCloseTo(best, 12); // sums in the same order
    }
  });

  test("allows exactly the swaps that stay feasible", () => {
    for (const mask of feasible()) {
      for (let out = 0; out < 7; out++) {
        for (let into = 0; into < 7; into++) {
          const swapped = mask.slice();
          swapped[out] = 0;
          swapped[into] = 1;
          const isSwap = mask[out] === 1 && mask[into] === 0;
          expect(constraint.canSwap!(mask)(out, into)).toBe(isSwap && constraint.violation(swapped) === 0);
        }
      }
    }
  });

  test("relaxes to a set that contains it", () => {
    const wider = constraint.relax!(1.5);
    for (const mask of feasible()) expect(wider.violation(mask)).toBe(0);
    expect(wider.select(matrix(1, 7, new Float64Array(7)).data).reduce((sum, bit) => sum + bit, 0)).toBe(6);
  });
});
