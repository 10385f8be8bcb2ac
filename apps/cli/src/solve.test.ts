import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeNpy, encodeNpy } from "@secateur/formats";
import { describe, expect, test } from "vitest";
import { call, smallProblem } from "./testing.test-support.ts";

/** Q(w) = 1/2 d'(G'G/n)d + (l2/2) d'd + g'd, summed by the definition. */
function objectiveOf(spec: {
  G: ArrayLike<number>;
  w0: ArrayLike<number>;
  w: ArrayLike<number>;
  l2: number;
  firstOrder: boolean;
}): number {
  const { G, w0, w, l2, firstOrder } = spec;
  const p = w0.length;
  const n = G.length / p;
  const d = Array.from({ length: p }, (_, j) => w[j]! - w0[j]!);
  let value = (l2 / 2) * d.reduce((sum, x) => sum + x * x, 0);
  for (let i = 0; i < n; i++) {
    const product = d.reduce((sum, x, j) => sum + x * G[i * p + j]!, 0);
    value += product ** 2 / (2 * n) + (firstOrder ? product / n : 0);
  }
  return value;
}

interface SolveResult {
  readonly objective: number;
  readonly nonzeros: number;
  readonly size: number;
}

async function solve(
  problem: { gradients: string; weights: string },
  ...more: readonly string[]
): Promise<SolveResult> {
  const argv = ["solve", "--gradients", problem.gradients, "--weights", problem.weights, ...more, "--json"];
  const { code, stdout, stderr } = await call(argv);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout) as SolveResult;
}

describe("solve", () => {
  for (const firstOrder of [false, true]) {
    test(`reports the objective of the weights it writes, ${firstOrder ? "with" : "without"} the first-order term`, async () => {
      const problem = await smallProblem();
      const out = join(problem.folder, "out.npy");
      const flags = ["--solver", "chita", "--keep", "3", "--ridge", "0.01", "--out", out];
      const result = await solve(problem, ...flags, ...(firstOrder ? ["--first-order"] : []));
      const written = decodeNpy(await readFile(out));
      expect(written.dtype).toBe("f32");
      expect(written.shape).toEqual([8]);
      const w = written.data as Float32Array;
      expect(w.filter((x) => x !== 0)).toHaveLength(3);
      expect(result).toMatchObject({ nonzeros: 3, size: 8 });
      // The same sum in another order: f64 rounding over 40 products.
      expect(result.objective).toBeCloseTo(objectiveOf({ ...problem, w, l2: 0.01, firstOrder }), 12);
    });
  }

  test("takes the published ridge by default", async () => {
    const problem = await smallProblem();
    const implied = await solve(problem, "--solver", "magnitude", "--sparsity", "0.5");
    const said = await solve(problem, "--solver", "magnitude", "--keep", "4", "--ridge", "1e-4");
    expect(implied.objective).toBe(said.objective);
    expect(implied.nonzeros).toBe(4);
  });

  test("computes in f64 and writes f64 where the weights are", async () => {
    const problem = await smallProblem();
    const w0 = Float64Array.from(problem.w0, (x) => x + 1e-12);
    await writeFile(problem.weights, encodeNpy({ shape: [2, 4], data: w0 }));
    const out = join(problem.folder, "out.npy");
    await solve(problem, "--solver", "magnitude", "--keep", "8", "--out", out);
    const written = decodeNpy(await readFile(out));
    expect(written.dtype).toBe("f64");
    expect(written.shape).toEqual([2, 4]);
    expect(written.data).toEqual(w0);
  });

  test("gives the same weights for any number of threads", async () => {
    const problem = await smallProblem();
    const bytes = await Promise.all(
      ["1", "2"].map(async (threads) => {
        const out = join(problem.folder, `out-${threads}.npy`);
        await solve(problem, "--solver", "chita", "--keep", "4", "--threads", threads, "--out", out);
        return await readFile(out);
      }),
    );
    expect(bytes[0]).toEqual(bytes[1]);
  });

  test("finds no worse weights by chita than by magnitude", async () => {
    const problem = await smallProblem();
    const best = await solve(problem, "--solver", "chita", "--keep", "3");
    const baseline = await solve(problem, "--solver", "magnitude", "--keep", "3");
    expect(best.objective).toBeLessThan(baseline.objective);
  });

  test("says for people what it says for programs", async () => {
    const { gradients, weights } = await smallProblem();
    const { code, stdout } = await call([
      "solve",
      "--gradients",
      gradients,
      "--weights",
      weights,
      "--solver",
      "magnitude",
      "--keep",
      "3",
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^magnitude: objective \S+ with 3 of 8 weights\nexact in .*; iterations 1\n/);
  });
});
