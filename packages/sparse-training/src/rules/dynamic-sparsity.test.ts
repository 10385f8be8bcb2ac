import { arrayDataset, createRng, createRunContext, matrix } from "@secateur/core";
import { createNetwork, mlp, type TrainingState, train } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import { drive, keptIn } from "../drive.test-support.ts";
import { rigl, set } from "./dynamic-sparsity.ts";
import { powerpropagation } from "./powerpropagation.ts";

describe.each([
  ["rigl", () => rigl({ sparsity: 0.75, interval: 3 })],
  ["set", () => set({ sparsity: 0.75 })],
  ["rigl, uniform", () => rigl({ sparsity: 0.75, interval: 3, distribution: "uniform", drop: "mest" })],
])("%s", (_, create) => {
  test("15 of 60 weights are kept before the first step and after every one, zeros elsewhere", async () => {
    for (const seen of await drive({ rules: [create()], steps: 24, stepsPerEpoch: 3 })) {
      expect(keptIn(seen)).toBe(15);
      for (const [name, mask] of seen.masks) {
        expect(seen.weights.get(name)!.every((w, i) => mask[i] === 1 || w === 0)).toBe(true);
      }
    }
  });
});

test("rigl moves floor(f / 2 (1 + cos(pi t / T)) k) weights of a layer, and those of largest gradient come at 0", async () => {
  // a keeps 9 of 40 weights and b 6 of 20: sums of extents 13 and 9 of 15 weights are 8.9 and 6.1.
  // At step 4 of T = 16 with f = 1: (1 + cos(pi / 4)) / 2 = .854, so 7 of a's 9 and 5 of b's 6 go.
  const gradient = (step: number, _: string, i: number): number => (step === 3 ? i : 0);
  const rules = [rigl({ sparsity: 0.75, interval: 4, until: 0.8, fraction: 1 })];
  const seen = await drive({ rules, steps: 20, stepsPerEpoch: 5, rate: 0, gradient });
  const [before, after] = [seen[3]!, seen[4]!];
  expect([...seen.keys()].filter((s) => s > 0 && !same(seen[s - 1]!, seen[s]!)).length).toBeLessThanOrEqual(4);
  for (const [name, kept, moved] of [["a", 9, 7] as const, ["b", 6, 5] as const]) {
    const [old, now] = [before.masks.get(name)!, after.masks.get(name)!];
    expect(old.reduce((sum, bit) => sum + bit, 0)).toBe(kept);
    const size = Math.abs;
    const ranked = [...old.keys()]
      .filter((i) => old[i] === 1)
      .sort((i, j) => size(before.weights.get(name)![j]!) - size(before.weights.get(name)![i]!));
    const survivors = new Set(ranked.slice(0, kept - moved));
    const others = [...old.keys()].filter((i) => !survivors.has(i)).sort((i, j) => j - i);
    const expected = new Set([...survivors, ...others.slice(0, moved)]);
    expect(new Set([...now.keys()].filter((i) => now[i] === 1))).toEqual(expected);
    for (const i of expected) if (old[i] === 0) expect(after.weights.get(name)![i]).toBe(0);
  }
});

function same(a: { masks: ReadonlyMap<string, Uint8Array> }, b: { masks: ReadonlyMap<string, Uint8Array> }): boolean {
  return [...a.masks].every(([name, mask]) => mask.every((bit, i) => bit === b.masks.get(name)![i]));
}

test("a weight that comes back starts without momentum", async () => {
  const rng = createRng("rigl");
  const values = Float32Array.from({ length: 32 * 6 }, () => rng.normal());
  const data = arrayDataset({
    inputs: matrix(32, 6, values),
    labels: Array.from({ length: 32 }, (_, i) => Number(values[6 * i]! > 0)),
  });
  const network = createNetwork(mlp({ sizes: [6, 12, 2] }), { seed: 1 });
  const states: TrainingState[] = [];
  // Four steps an epoch: updates fall on the ends of epochs 1 to 5.
  const rules = [rigl({ sparsity: 0.5, interval: 4, fraction: 0.5 })];
  const onEpoch = (state: TrainingState): void => void states.push(state);
  await train(network, { data, epochs: 7, batchSize: 8, rules, onEpoch }, createRunContext({ seed: 1 }));
  const find = (state: TrainingState, name: string) => state.tensors.find((one) => one.name === name)!.data;
  let revived = 0;
  for (let s = 1; s < 5; s++) {
    for (const name of ["fc1.weight", "fc2.weight"]) {
      const [old, now] = [find(states[s - 1]!, `mask/${name}`), find(states[s]!, `mask/${name}`)];
      const [w, v] = [find(states[s]!, name), find(states[s]!, `optimizer.velocity/${name}`)];
      now.forEach((bit: number, i: number) => {
        if (bit === 1 && old[i] === 1 && w[i] !== 0) expect(v[i]).not.toBe(0);
        if (bit === 0 || old[i] === 1) return;
        expect([w[i], v[i]]).toEqual([0, 0]);
        revived++;
      });
    }
  }
  expect(revived).toBeGreaterThan(10);
});

test("two runs of one seed draw the same masks, and layers draw their own", async () => {
  const one = (await drive({ rules: [rigl({ sparsity: 0.5, interval: 3 })], steps: 6, stepsPerEpoch: 3 }))[0]!;
  const two = (await drive({ rules: [rigl({ sparsity: 0.5, interval: 3 })], steps: 6, stepsPerEpoch: 3 }))[0]!;
  expect(two).toEqual(one);
  expect(one.masks.get("a")!.subarray(0, 20)).not.toEqual(one.masks.get("b"));
});

describe("what cannot be", () => {
  test.each([
    [() => rigl({ sparsity: 1.5 }), /sparsity/],
    [() => rigl({ sparsity: 0.5, fraction: 0 }), /fraction/],
    [() => set({ sparsity: 0.5, interval: 0.5 }), /interval/],
    [() => rigl({ sparsity: 0.5, drop: "random" as "magnitude" }), /'drop' is 'random'; give magnitude, snip/],
  ])("is refused: %#", (create, message) => {
    expect(create).toThrow(message);
  });

  test("intervals longer than the part with updates", async () => {
    await expect(drive({ rules: [rigl({ sparsity: 0.5 })], steps: 24, stepsPerEpoch: 3 })).rejects.toThrow(
      "updates every 100 steps need at least 134 steps, and there are 24",
    );
  });

  test("masks that must stay", async () => {
    const masks = new Map([["a", new Uint8Array(40)]]);
    await expect(drive({ rules: [set({ sparsity: 0.5 })], masks, steps: 9, stepsPerEpoch: 3 })).rejects.toThrow(
      "'set' brings pruned weights back, and this training keeps 40 pruned",
    );
  });

  test("a form in which what comes back could never move, or two rules over one mask; both are named", async () => {
    const rule = (): ReturnType<typeof rigl> => rigl({ sparsity: 0.5, interval: 3 });
    await expect(drive({ rules: [powerpropagation(), rule()], steps: 24, stepsPerEpoch: 3 })).rejects.toThrow(
      /'powerpropagation' and 'rigl' contradict each other.*no slope at 0/,
    );
    await expect(drive({ rules: [rule(), set({ sparsity: 0.5 })], steps: 24, stepsPerEpoch: 3 })).rejects.toThrow(
      /'rigl' and 'set' contradict each other: both change masks/,
    );
  });
});
