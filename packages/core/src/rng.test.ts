import { describe, expect, test } from "vitest";
import { createRng, sampleIndices } from "./rng.ts";

describe("createRng", () => {
  test("equal seeds give equal streams and other seeds other ones", () => {
    const draw = (seed: number) => Array.from({ length: 8 }, createRng(seed).next);
    expect(draw(3)).toEqual(draw(3));
    expect(draw(3)).not.toEqual(draw(4));
  });

  test("a fork does not depend on how many numbers were drawn before it", () => {
    const fresh = createRng(1).fork("a").next();
    const used = createRng(1);
    used.next();
    used.fork("b").next();
    expect(used.fork("a").next()).toBe(fresh);
    expect(createRng(1).fork("b").next()).not.toBe(fresh);
  });

  test("uniform and normal numbers have the moments of their distributions", () => {
    const rng = createRng(7);
    const count = 20000;
    let [mean, normalMean, normalSquare] = [0, 0, 0];
    for (let i = 0; i < count; i++) {
      const u = rng.next();
      expect(u >= 0 && u < 1).toBe(true);
      mean += u / count;
      const z = rng.normal();
      normalMean += z / count;
      normalSquare += (z * z) / count;
    }
    // Five standard errors of each mean: sqrt(1/12/n), sqrt(1/n), sqrt(2/n).
    expect(Math.abs(mean - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / count));
    expect(Math.abs(normalMean)).toBeLessThan(5 / Math.sqrt(count));
    expect(Math.abs(normalSquare - 1)).toBeLessThan(5 * Math.sqrt(2 / count));
  });

  test("sampled indices are distinct, in range, and every index is as likely", () => {
    const hits = new Float64Array(10);
    for (let seed = 0; seed < 3000; seed++) {
      const drawn = sampleIndices(10, 4, createRng(seed));
      expect(new Set(drawn).size).toBe(4);
      for (const index of drawn) hits[index] = hits[index]! + 1;
    }
    // Each index is drawn with probability 0.4; five standard deviations of the binomial count.
    for (const count of hits) expect(Math.abs(count - 1200)).toBeLessThan(5 * Math.sqrt(3000 * 0.4 * 0.6));
  });

  test("asking for more indices than there are gives all of them", () => {
    expect([...sampleIndices(3, 9, createRng(0))].sort()).toEqual([0, 1, 2]);
  });
});
