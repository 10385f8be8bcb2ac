import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRunContext, type Kernels, referenceKernels, type Solver, type Vec } from "@secateur/core";
import { encodeNpy } from "@secateur/formats";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Session } from "../../session.ts";
import { runSolve, type SolveSettings } from "./run-solve.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "secateur-solve-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, shape: readonly number[], data: Vec): string {
  const path = join(folder, name);
  writeFileSync(path, encodeNpy({ shape, data }));
  return path;
}

/** Kernels that know what they gave out and did not get back. */
function countingKernels(): { kernels: Kernels; held: Set<Vec> } {
  const held = new Set<Vec>();
  return {
    held,
    kernels: {
      ...referenceKernels,
      alloc(length, dtype) {
        const vector = referenceKernels.alloc(length, dtype);
        held.add(vector);
        return vector;
      },
      holds: (vector) => held.has(vector),
      free: (vector) => void held.delete(vector),
    },
  };
}

const keepsAll: Solver = {
  name: "keeps all",
  needs: { curvature: ["factor"] },
  solve: async ({ w }) => ({ w, mask: new Uint8Array(w.cols).fill(1), objective: 0, status: "converged", stats: {} }),
};

async function solve(kernels: Kernels, gradients: string, weights: string, settings: SolveSettings = { keep: 2 }) {
  const context = () => createRunContext({ seed: 0, kernels });
  const signal = new AbortController().signal;
  const session: Session = { kernels, kernelChoice: "reference", seed: 0, signal, onEvent: () => {}, context };
  return await runSolve({
    ...{ source: { gradients }, weights, solver: keepsAll, name: "keeps all" },
    ...{ settings, overwrite: false, session },
  });
}

test.each([
  ["f32", "f32", 1],
  ["f64", "f32", 1],
  ["f32", "f64", 1],
] as const)(
  "rows of %s beside weights of %s lie in kernel memory once while they are solved",
  async (of, beside, most) => {
    const { kernels, held } = countingKernels();
    const make = { f32: Float32Array, f64: Float64Array };
    const G = file("G.npy", [2, 2], make[of].of(1, 2, 3, 4));
    const w = file("w.npy", [2], make[beside].of(1, 1));
    let counted = 0;
    const alloc: Kernels["alloc"] = (length, dtype) => {
      counted++;
      return kernels.alloc(length, dtype);
    };
    expect((await solve({ ...kernels, alloc }, G, w)).objective).toBe(0);
    expect(counted).toBe(most);
    expect(held.size).toBe(0);
  },
);

test("kernel memory is given back whatever is refused", async () => {
  const good = file("good.npy", [2, 2], Float32Array.of(1, 2, 3, 4));
  const w = file("w.npy", [2], Float32Array.of(1, 1));
  const wide = file("wide.npy", [2, 3], new Float32Array(6));
  const bad = file("bad.npy", [2, 2], Float32Array.of(1, Number.NaN, 3, 4));
  const badWeights = file("bad-weights.npy", [2], Float32Array.of(1, Number.NaN));
  for (const [gradients, weights, settings, message] of [
    [wide, w, { keep: 2 }, /wide\.npy.*\[n, 2\]/],
    [bad, w, { keep: 2 }, /bad\.npy.*leave such rows out/],
    [good, badWeights, { keep: 2 }, /bad-weights\.npy/],
    [good, w, { keep: 3 }, /--keep/],
    [good, w, { keep: 2, ridge: -1 }, /damping/],
  ] as const) {
    const { kernels, held } = countingKernels();
    await expect(solve(kernels, gradients, weights, settings)).rejects.toThrow(message);
    expect(held.size).toBe(0);
  }
});
