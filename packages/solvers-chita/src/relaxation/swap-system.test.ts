import { referenceKernels as kernels, matrix } from "@secateur/core";
import { expect, test } from "vitest";
import { halfSolved, type Moved, searchPool } from "./swap-system.ts";

/** I + A A' / lambda, factored. */
function factorOf(A: readonly (readonly number[])[], lambda: number) {
  const n = A[0]!.length;
  const M = matrix(n, n, new Float64Array(n * n));
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      M.data[i * n + j] = A.reduce((sum, column) => sum + (column[i]! * column[j]!) / lambda, i === j ? 1 : 0);
    }
  }
  expect(kernels.cholesky(M)).toBe(-1);
  return M;
}

test("two columns of S that can only stand in for each other leave for two that come in, without the rounding of either alone", async () => {
  const lambda = 1e-11;
  // Of the kept a and b one can go; once both are gone what is left of 1 is some 1e-11.
  const [a, b] = [
    [0.7, 0.3, 0.2],
    [0.7, 0.3 + 1e-7, 0.2],
  ];
  const [c, d] = [
    [0.7, 0.3, 0.2 + 1e-6],
    [0.7 - 1e-6, 0.3, 0.2],
  ];
  const columns = [a!, b!, c!, d!];
  const v = [0, 0, 1, 2];
  // y = c + 2 d: at w = v on c and d nothing is left, so that u there is 0.
  const y = [0, 1, 2].map((i) => c![i]! + 2 * d![i]!);
  const factor = factorOf([a!, b!], lambda);
  const half = halfSolved(
    factor,
    Float64Array.from(y, (value) => -value),
    kernels,
  );
  const A = matrix(
    3,
    4,
    Float64Array.from({ length: 12 }, (_, e) => columns[e % 4]![Math.floor(e / 4)]!),
  );
  const none: Moved = {
    columns: new Uint32Array(0),
    wasKept: new Uint8Array(0),
    centre: new Float64Array(0),
    X: matrix(3, 0, new Float64Array(0)),
  };
  const pool = {
    columns: Uint32Array.of(0, 1, 2, 3),
    kept: Uint8Array.of(1, 1, 0, 0),
    centre: Float64Array.from(v),
    A,
  };
  const { kept, u, moved } = await searchPool({ kernels, lambda, factor, half }, pool, none);
  expect([...kept]).toEqual([0, 0, 1, 1]);
  expect([...moved.wasKept]).toEqual([1, 1, 0, 0]);
  // V = v - A'u / lambda of the new columns: their weights.
  for (const j of [2, 3]) {
    const product = columns[j]!.reduce((sum, value, i) => sum + value * u[i]!, 0);
    // 2e-13 here; 8e-6 where a and b are swept before c and d.
    expect(product / lambda).toBeCloseTo(0, 9);
  }
});
