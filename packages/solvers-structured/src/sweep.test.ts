import { createRng, type Mat, matrix } from "@secateur/core";
import { expect, test } from "vitest";
import { exchangeGain, gainOf, leaving } from "./exchange.ts";
import { bestOn, columnsKept, layerOf } from "./groups.test-support.ts";
import { type Sweeps, sweepIn, sweepOut } from "./sweep.ts";

const width = 3;
const { problem, H } = layerOf({ rows: 2, groups: 5, width, keep: 3 });
const { w: w0 } = problem;
const cols = 5 * width;
const columns = (g: number): Uint32Array => Uint32Array.from({ length: width }, (_, i) => g * width + i);

/** The tableau with nothing free: P = H, R = w0 H. */
function atZero(): Sweeps {
  const R = matrix(2, cols, new Float64Array(2 * cols));
  for (let r = 0; r < 2; r++) {
    for (let j = 0; j < cols; j++) {
      for (let i = 0; i < cols; i++) R.data[r * cols + j]! += w0.data[r * cols + i]! * H.data[i * cols + j]!;
    }
  }
  return { P: { ...H, data: Float64Array.from(H.data) }, R };
}

function apart(a: Mat, b: Mat): number {
  let most = 0;
  for (let i = 0; i < a.data.length; i++) most = Math.max(most, Math.abs(a.data[i]! - b.data[i]!));
  return most;
}

test("the tableau after any way in and out is the one of the way straight there", () => {
  const wandering = atZero();
  for (const [g, way] of [
    [0, sweepIn],
    [3, sweepIn],
    [4, sweepIn],
    [3, sweepOut],
    [1, sweepIn],
    [0, sweepOut],
    [0, sweepIn],
  ] as const) {
    way(wandering, columns(g));
  }
  const straight = atZero();
  for (const g of [4, 1, 0]) sweepIn(straight, columns(g));
  // Eleven changes of rank three round in f64; entries are some 10.
  expect(apart(wandering.P, straight.P)).toBeLessThan(1e-10);
  expect(apart(wandering.R, straight.R)).toBeLessThan(1e-10);
});

test("free columns hold minus the inverse and the best weights, which with all of them free are the dense ones", () => {
  const sweeps = atZero();
  for (const g of [0, 1, 2, 3, 4]) sweepIn(sweeps, columns(g));
  for (let i = 0; i < cols; i++) {
    for (let j = 0; j < cols; j++) {
      let entry = 0;
      for (let k = 0; k < cols; k++) entry -= H.data[i * cols + k]! * sweeps.P.data[k * cols + j]!;
      expect(entry).toBeCloseTo(i === j ? 1 : 0, 9);
    }
  }
  expect(apart(sweeps.R, w0)).toBeLessThan(1e-10);
});

test("what leaving, coming and exchanging change is what re-fits from scratch change", () => {
  const at = (mask: readonly number[]): number => bestOn(H, w0, columnsKept(Uint8Array.from(mask), width));
  const rng = createRng(4);
  for (let draw = 0; draw < 6; draw++) {
    const mask = [0, 1, 2, 3, 4].map(() => (rng.next() < 0.5 ? 1 : 0));
    const sweeps = atZero();
    mask.forEach((bit, g) => {
      if (bit === 1) sweepIn(sweeps, columns(g));
    });
    const now = at(mask);
    const without = (out: number | undefined, into?: number): number =>
      at(mask.map((bit, g) => (g === out ? 0 : g === into ? 1 : bit)));
    for (let out = 0; out < 5; out++) {
      if (mask[out] === 0) {
        expect(gainOf(sweeps, columns(out))).toBeCloseTo(now - without(undefined, out), 8);
        continue;
      }
      expect(leaving(sweeps, columns(out)).cost).toBeCloseTo(without(out) - now, 8);
      for (let into = 0; into < 5; into++) {
        if (mask[into] === 1) continue;
        const gain = exchangeGain(sweeps, leaving(sweeps, columns(out)), columns(into));
        expect(gain).toBeCloseTo(now - without(out, into), 8);
      }
    }
  }
});

test("a group whose curvature is lost to rounding is never taken for the cheapest to go", () => {
  const sweeps = atZero();
  for (const g of [0, 1]) sweepIn(sweeps, columns(g));
  // Two equal columns of A say that nothing determines their weights apart.
  for (let j = 0; j < cols; j++) sweeps.P.data[cols + j] = sweeps.P.data[j]!;
  for (let i = 0; i < cols; i++) sweeps.P.data[i * cols + 1] = sweeps.P.data[i * cols]!;
  expect(leaving(sweeps, columns(0)).cost).toBe(Number.POSITIVE_INFINITY);
});
