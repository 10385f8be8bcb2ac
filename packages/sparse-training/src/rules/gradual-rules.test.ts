import { beginRules, createRunContext, matrix } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { drive, keptIn, params, weightsOf } from "../drive.test-support.ts";
import { acDc } from "./ac-dc.ts";
import { admm } from "./admm.ts";
import { autoPrune } from "./auto-prune.ts";
import { filters } from "./filters.ts";
import { gmp } from "./gmp.ts";
import { granet, granetSt } from "./granet.ts";
import { issP } from "./iterative-shrinkage.ts";
import { polarization } from "./polarization.ts";
import { powerpropagation } from "./powerpropagation.ts";

const counts = async (rule: ReturnType<typeof gmp>, spec = { steps: 12, stepsPerEpoch: 3 }): Promise<number[]> =>
  (await drive({ rules: [rule], ...spec })).map(keptIn);

describe("granet", () => {
  test("weights kept after every step, by hand", async () => {
    // Updates at steps 2, 4, 6, 8 of 12 (until 110 / 160 = 8.25): .9 - .9 (1 - t / 4)^3 of 60 weights leave 28.78, 12.75, 6.84, 6.
    expect(await counts(granet({ sparsity: 0.9, interval: 2 }))).toEqual([60, 60, 28, 28, 12, 12, 6, 6, 6, 6, 6, 6, 6]);
    // From half: .9 - .4 (1 - t / 4)^3 leave 16.125, 9, 6.375, 6.
    expect(await counts(granetSt({ sparsity: 0.9, interval: 2 }))).toEqual([
      ...[30, 30, 16, 16, 9, 9, 6, 6, 6, 6, 6, 6, 6],
    ]);
  });

  test("without regeneration it prunes by magnitude alone, with it weights come back by their gradient", async () => {
    // Four updates, of which the second and third regenerate weights of layers that are sparse already.
    const pruned = await drive({
      rules: [granet({ sparsity: 0.5, interval: 3, regrow: 0 })],
      steps: 18,
      stepsPerEpoch: 3,
    });
    const regrown = await drive({ rules: [granet({ sparsity: 0.5, interval: 3 })], steps: 18, stepsPerEpoch: 3 });
    const comesBack = (seen: typeof pruned): boolean =>
      seen.some(
        ({ masks }, s) =>
          s > 0 && (masks.get("a")?.some((bit, i) => bit > (seen[s - 1]!.masks.get("a")?.[i] ?? 1)) ?? false),
      );
    expect(comesBack(pruned)).toBe(false);
    expect(comesBack(regrown)).toBe(true);
    expect(keptIn(regrown.at(-1)!)).toBe(30);
  });
});

test("ac-dc: dense beginning, compressed and dense phases in turn, a compressed end", async () => {
  // 8 epochs of 2 steps, beginning 1, phases of 2: floor(7 / 2) = 3, so compressed 1-3, dense 3-5, compressed 5-8.
  const found = await counts(acDc({ sparsity: 0.8, interval: 2, warmUp: 1 }), { steps: 16, stepsPerEpoch: 2 });
  expect(found).toEqual([60, 60, 12, 12, 12, 12, 60, 60, 60, 60, 12, 12, 12, 12, 12, 12, 12]);
  // Of an even number the last, dense one is left out.
  const even = await counts(acDc({ sparsity: 0.8, interval: 2, warmUp: 0 }), { steps: 8, stepsPerEpoch: 1 });
  expect(even).toEqual([12, 12, 60, 60, 12, 12, 12, 12, 12]);
});

test("ac-dc keeps the largest of all weights, and the others start again from 0", async () => {
  const seen = await drive({
    rules: [acDc({ sparsity: 0.8, interval: 1, warmUp: 1 })],
    steps: 4,
    stepsPerEpoch: 1,
    rate: 0,
  });
  const all = [...weightsOf().get("a")!.data, ...weightsOf().get("b")!.data].map(Math.abs);
  const least = all.sort((x, y) => y - x)[11]!;
  const expected = weightsOf()
    .get("a")!
    .data.map((w: number) => (Math.abs(w) >= least ? w : 0));
  expect([...seen[1]!.weights.get("a")!]).toEqual([...expected]);
  expect([...seen[2]!.weights.get("a")!]).toEqual([...expected]);
  expect(keptIn(seen[2]!)).toBe(60);
});

describe("admm", () => {
  test("Z is the nearest point of the set, U what is missing, and both make the penalty whose gradient is added", async () => {
    const rule = admm({ sparsity: 0.75, rho: 0.5 });
    const weights = weightsOf();
    const setup = { params, weights, masks: new Map(), steps: 40, stepsPerEpoch: 2 };
    const hooks = rule.begin(setup);
    const ctx = createRunContext();
    const gradients = new Map(
      params.map(({ name, rows, cols }) => [name, matrix(rows, cols, new Float64Array(rows * cols))]),
    );
    const at = { ...setup, step: 0, rate: 0.1, gradients, setMask: () => {}, ctx };
    expect(hooks.penalty!(at)).toBe(0);
    await hooks.afterStep!({ ...at, step: 2 });
    const all = [...weights.get("a")!.data, ...weights.get("b")!.data];
    const order = [...all].map(Math.abs).sort((x, y) => y - x);
    // With U = 0 before, Z keeps the 15 largest and U is the rest, so W - Z + U is twice the small weights.
    const small = all.filter((w) => Math.abs(w) < order[14]!);
    const expected = 0.25 * small.reduce((sum, w) => sum + (2 * w) ** 2, 0);
    expect(hooks.penalty!(at)).toBeCloseTo(expected, 12);
    expect([...gradients.get("a")!.data]).toEqual(
      [...weights.get("a")!.data].map((w: number) => (Math.abs(w) < order[14]! ? 0.5 * 2 * w : 0)),
    );
    // After W has moved, W + U is projected.
    weights.get("a")!.data.forEach((w: number, i: number) => {
      weights.get("a")!.data[i] = w + 0.1 * Math.sin(i);
    });
    const before = new Map(hooks.state!().map(({ name, data }) => [name, data]));
    await hooks.afterStep!({ ...at, step: 4 });
    const after = new Map(hooks.state!().map(({ name, data }) => [name, data]));
    for (const name of ["a", "b"]) {
      const [w, u, z] = [weights.get(name)!.data, before.get(`u/${name}`)!, after.get(`z/${name}`)!];
      z.forEach((value: number, i: number) => {
        if (value !== 0) expect(value).toBeCloseTo(w[i]! + u[i]!, 12);
        expect(after.get(`u/${name}`)![i]).toBeCloseTo(u[i]! + w[i]! - value, 12);
      });
    }
    expect(["a", "b"].flatMap((name) => [...after.get(`z/${name}`)!]).filter((value) => value !== 0)).toHaveLength(15);
  });

  test("the projection is the best of all masks of that many weights, and of every pattern", () => {
    const values = [3, -1, 2, 0.5];
    const distance = (mask: readonly number[]): number => values.reduce((sum, v, i) => sum + (mask[i] ? 0 : v * v), 0);
    const masks = Array.from({ length: 16 }, (_, bits) => values.map((__, i) => (bits >> i) & 1));
    const best = masks
      .filter((mask) => mask.reduce((sum, bit) => sum + bit, 0) === 2)
      .sort((x, y) => distance(x) - distance(y))[0]!;
    expect(best).toEqual([1, 0, 1, 0]);
    const hooks = admm({ keep: 2, of: 4 }).begin({
      params: [{ name: "w", shape: [1, 4], rows: 1, cols: 4, prunable: true, flopsPerWeight: 2 }],
      weights: new Map([["w", matrix(1, 4, Float64Array.from(values))]]),
      masks: new Map(),
      ...{ steps: 10, stepsPerEpoch: 1 },
    });
    let found: number[] = [];
    hooks.afterStep!({
      ...{ step: 7, steps: 10, stepsPerEpoch: 1, rate: 1, params: [], gradients: new Map(), masks: new Map() },
      weights: new Map([["w", matrix(1, 4, Float64Array.from(values))]]),
      setMask: (_, mask) => {
        found = [...mask];
      },
      ctx: createRunContext(),
    });
    expect(found).toEqual(best);
  });

  test("pulled weights end nearer to the set, and are pruned after seven tenths", async () => {
    const gradient = (): number => 0;
    const rules = (rho: number) => [admm({ sparsity: 0.75, rho, interval: 1 })];
    const weak = await drive({ rules: rules(0.01), steps: 20, stepsPerEpoch: 2, gradient });
    const strong = await drive({ rules: rules(1), steps: 20, stepsPerEpoch: 2, gradient });
    const norm = (seen: typeof weak, step: number): number =>
      [...seen[step]!.weights.get("a")!].reduce((sum, w) => sum + w * w, 0);
    const lost = (seen: typeof weak): number => norm(seen, 13) - norm(seen, 14);
    expect(lost(strong)).toBeLessThan(0.5 * lost(weak));
    expect(strong.map(keptIn)).toEqual([...Array<number>(14).fill(60), ...Array<number>(7).fill(15)]);
  });

  test("contradicting options and too few epochs are refused", async () => {
    expect(() => admm({ sparsity: 0.5, keep: 2, of: 4 })).toThrow(/'sparsity' alone/);
    expect(() => admm({ keep: 2 })).toThrow(/'keep' with 'of'/);
    await expect(drive({ rules: [admm({ interval: 4 })], steps: 4, stepsPerEpoch: 1 })).rejects.toThrow(
      /updates every 4 epochs need at least 8 epochs/,
    );
  });
});

test("iss-p: by plain gradient descent small weights lose their fraction a step, then they are pruned", async () => {
  const gradient = (): number => 0;
  const seen = await drive({ rules: [issP({ sparsity: 0.75, shrink: 0.1 })], steps: 10, stepsPerEpoch: 5, gradient });
  const start = weightsOf().get("a")!.data;
  const order = [...start, ...weightsOf().get("b")!.data].map(Math.abs).sort((x, y) => y - x);
  seen[3]!.weights.get("a")!.forEach((w, i) => {
    const isSmall = Math.abs(start[i]!) < order[14]!;
    expect(w).toBeCloseTo(start[i]! * (isSmall ? 0.9 ** 3 : 1), 12);
  });
  expect(seen.map(keptIn)).toEqual([...Array<number>(7).fill(60), ...Array<number>(4).fill(15)]);
});

test("admm pulls what it keeps to levels of its row, the largest magnitude among them, until the end", async () => {
  const rule = admm({ sparsity: 0.4, levels: 5, rho: 1, until: 0.3 });
  const seen = await drive({ rules: [rule], steps: 800, stepsPerEpoch: 20, gradient: () => 0 });
  const last = seen.at(-1)!;
  expect(keptIn(last)).toBe(36);
  for (const [name, rows, cols] of [
    ["a", 5, 8],
    ["b", 4, 5],
  ] as const) {
    for (let r = 0; r < rows; r++) {
      const row = last.weights.get(name)!.subarray(r * cols, (r + 1) * cols);
      const step = Math.max(...row.map(Math.abs)) / 2;
      // Each epoch closes the gap to the levels by .9^20; it reopens only by what the largest of the row moves.
      for (const w of row) expect(Math.abs(w / step - Math.round(w / step))).toBeLessThan(1e-3);
    }
  }
  expect(() => admm({ levels: 4 })).toThrow(/give an odd number/);
});

describe("powerpropagation", () => {
  test("a step of theta is the step that the chain rule gives", async () => {
    const [before, after] = await drive({ rules: [powerpropagation({ alpha: 3 })], steps: 1, stepsPerEpoch: 1 });
    const noise = createRunContext({ seed: 3 }).rng.fork("gradients");
    before!.weights.get("a")!.forEach((w, i) => {
      const theta = Math.cbrt(w);
      const moved = theta - 0.1 * 3 * theta * theta * noise.normal();
      // Powers of about 1 in f64, twice.
      expect(Math.abs(after!.weights.get("a")![i]! - moved ** 3)).toBeLessThan(1e-13);
    });
  });

  test("gmp prunes beside it, as far as alone", async () => {
    const rules = [powerpropagation(), gmp({ sparsity: 0.9 })];
    const seen = await drive({ rules, steps: 12, stepsPerEpoch: 2 });
    expect(keptIn(seen.at(-1)!)).toBe(6);
    expect(
      seen
        .at(-1)!
        .weights.get("a")!
        .filter((w) => w !== 0).length,
    ).toBeLessThanOrEqual(6);
  });
});

describe("auto-prune", () => {
  const map = () =>
    autoPrune({ pull: 0.5, gate: 0.1, leak: 0.2 }).begin({
      params,
      weights: weightsOf(),
      masks: new Map(),
      steps: 4,
      stepsPerEpoch: 2,
    }).reparameterize!(params[2]!)!;

  test("gradients of open gates and of closed ones, by hand", () => {
    const theta = map().initial(weightsOf().get("b")!.data);
    expect([...theta.subarray(20)]).toEqual(Array<number>(20).fill(0.1));
    theta[0] = 2;
    theta[1] = -3;
    theta[20 + 1] = -0.1;
    const out = new Float64Array(20);
    map().toWeights(theta, out);
    expect([out[0], out[1]]).toEqual([2, 0]);
    const gradient = new Float64Array(20).fill(0.25);
    const found = new Float64Array(40);
    map().toGradient(theta, gradient, found);
    // Open: (sign(2) .25 + .5) 1. Closed: (sign(-3) .25 + .5) .2, and the weight stands still.
    expect([found[0], found[20], found[1], found[21]]).toEqual([0.25, 0.75, 0, 0.05]);
  });

  test("a pull closes gates that the loss does not hold open, which the loss may open again", async () => {
    const gradient = (step: number, name: string, i: number): number =>
      name === "b" && i === 0 ? -Math.sign(weightsOf().get("b")!.data[0]!) * (step < 4 ? 0 : 5) : 0;
    const seen = await drive({ rules: [autoPrune({ pull: 0.5, gate: 0.1 })], steps: 12, stepsPerEpoch: 4, gradient });
    expect(seen[4]!.weights.get("b")!.every((w) => w === 0)).toBe(true);
    expect(
      seen
        .at(-1)!
        .weights.get("b")!
        .map((w) => Number(w !== 0)),
    ).toEqual(Float64Array.from({ length: 20 }, (_, i) => Number(i === 0)));
  });
});

test("a layer that is left without a weight is said, once", async () => {
  const notes: string[] = [];
  const weights = weightsOf();
  weights.get("b")!.data.fill(1e-9);
  const onEvent = (event: { type: string; message?: string }): void =>
    void (event.type === "note" && notes.push(event.message!));
  const ctx = createRunContext({ onEvent });
  const run = beginRules({
    rules: [gmp({ sparsity: 0.5 })],
    params,
    weights,
    masks: new Map(),
    steps: 12,
    stepsPerEpoch: 3,
    ctx,
  });
  const gradients = new Map(
    params.map(({ name, rows, cols }) => [name, matrix(rows, cols, new Float64Array(rows * cols))]),
  );
  for (let step = 0; step < 12; step++) await run.afterStep({ step: step + 1, rate: 0.1, gradients }, ctx);
  expect(notes).toEqual([expect.stringContaining("'gmp': b keeps no weight")]);
});

test.each([
  ["admm", () => admm({ sparsity: 0.2 })],
  ["admm by a pattern", () => admm({ keep: 3, of: 4 })],
  ["iss-p", () => issP({ sparsity: 0.2 })],
  ["gmp", () => gmp({ sparsity: 0.2 })],
])("%s keeps within the masks that a training starts with", async (_, create) => {
  const start = Uint8Array.from({ length: 40 }, (__, i) => i % 2);
  const seen = await drive({ rules: [create()], masks: new Map([["a", start]]), steps: 20, stepsPerEpoch: 2 });
  for (const { weights, masks } of seen) {
    expect(masks.get("a")!.some((bit, i) => bit > start[i]!)).toBe(false);
    expect(weights.get("a")!.every((w, i) => start[i] === 1 || w === 0)).toBe(true);
  }
});

describe("polarization", () => {
  test("value and gradient by hand, for scales of either sign", () => {
    const scale = {
      name: "norm.weight",
      shape: [4],
      rows: 4,
      cols: 1,
      prunable: false,
      isScale: true,
      flopsPerWeight: 1,
    };
    const weights = new Map([["norm.weight", matrix(4, 1, Float64Array.of(0.1, -0.3, 2, -1.6))]]);
    const gradients = new Map([["norm.weight", matrix(4, 1, new Float64Array(4))]]);
    const setup = { params: [scale], weights, masks: new Map(), steps: 2, stepsPerEpoch: 1 };
    const at = { ...setup, step: 0, rate: 0.1, gradients, setMask: () => {}, ctx: createRunContext() };
    // |gamma| .1 .3 2 1.6, mean 1: t 4 - (.9 + .7 + 1 + .6) = 4.8 - 3.2 for t = 1.2; signs - - + + cancel.
    const rule = polarization({ strength: 0.5, pull: 1.2 });
    expect(rule.begin(setup).penalty!(at)).toBeCloseTo(0.8, 12);
    const expected = [0.5 * 2.2, -0.5 * 2.2, 0.5 * 0.2, -0.5 * 0.2];
    gradients.get("norm.weight")!.data.forEach((value: number, i: number) => {
      expect(value).toBeCloseTo(expected[i]!, 12);
    });
  });

  test("a network without normalisation is refused", async () => {
    await expect(drive({ rules: [polarization()], steps: 2, stepsPerEpoch: 1 })).rejects.toThrow(
      /the network has none/,
    );
  });
});

describe("filters", () => {
  test("rows of smallest norm go whole, as many as the schedule says, and the last layer stays", async () => {
    // 5 rows of a; .6 (1 - (1 - t / 3)^3) = .422 .578 .6 leave floor(2.89) floor(2.11) floor(2) of them.
    const seen = await drive({ rules: [filters({ sparsity: 0.6 })], steps: 8, stepsPerEpoch: 2, rate: 0 });
    const rowsIn = (step: number): number[] =>
      Array.from({ length: 5 }, (_, r) => {
        const row = seen[step]!.weights.get("a")!.subarray(8 * r, 8 * r + 8);
        return row.every((w) => w === 0) ? 0 : 1;
      });
    const start = Array.from(weightsOf().get("a")!.data, Math.abs);
    const sums = Array.from({ length: 5 }, (_, r) => start.slice(8 * r, 8 * r + 8).reduce((sum, w) => sum + w, 0));
    const largest = [...sums].sort((x, y) => y - x);
    expect([1, 2, 4, 6, 8].map((step) => rowsIn(step).reduce((sum, bit) => sum + bit, 0))).toEqual([5, 2, 2, 2, 2]);
    expect(rowsIn(8)).toEqual(sums.map((sum) => Number(sum >= largest[1]!)));
    expect(seen.at(-1)!.masks.has("b")).toBe(false);
  });
});
