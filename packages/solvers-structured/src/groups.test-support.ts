/** Small layers whose groups hang together, and slow exact answers to compare with. */
import { createRng, groupUnits, keepCount, type Mask, type Mat, matrix, type Problem } from "@secateur/core";

/** X'X / n + damping I, f64, of inputs whose neighbours are alike. */
function secondMoment(spec: { examples: number; cols: number; damping?: number; seed?: number }): Mat {
  const { examples, cols, damping = 0, seed = 0 } = spec;
  const rng = createRng(`inputs ${seed}`);
  const X = Array.from({ length: examples }, () => {
    let carried = rng.normal();
    return Array.from({ length: cols }, (_, j) => {
      carried = 0.8 * carried + 0.6 * rng.normal();
      return carried * (1 + (j % 3));
    });
  });
  const H = matrix(cols, cols, new Float64Array(cols * cols));
  for (let i = 0; i < cols; i++) {
    for (let j = 0; j < cols; j++) {
      H.data[i * cols + j] = X.reduce((sum, x) => sum + x[i]! * x[j]!, 0) / examples + (i === j ? damping : 0);
    }
  }
  return H;
}

/** A layer's problem, of which `keep` groups of `width` neighbouring columns may stay. */
export function layerOf(spec: { rows: number; groups: number; width: number; keep: number; seed?: number }): {
  readonly problem: Problem;
  readonly H: Mat;
} {
  const { rows, groups, width, keep, seed = 0 } = spec;
  const cols = groups * width;
  const H = secondMoment({ examples: 3 * cols, cols, seed });
  const rng = createRng(`weights ${seed}`);
  const w = matrix(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, () => rng.normal()),
  );
  const indices = Array.from({ length: groups }, (_, g) =>
    Uint32Array.from({ length: rows * width }, (_, i) => Math.floor(i / width) * cols + g * width + (i % width)),
  );
  const problem: Problem = {
    id: "fc1",
    w,
    curvature: {
      dim: cols,
      diagonal: () => Float64Array.from({ length: cols }, (_, j) => H.data[j * (cols + 1)]!),
      gram: () => H,
      apply(x, out) {
        for (let i = 0; i < cols; i++) {
          out[i] = 0;
          for (let j = 0; j < cols; j++) out[i] = out[i]! + H.data[i * cols + j]! * x[j]!;
        }
      },
    },
    units: groupUnits({ size: rows * cols, groups: indices }),
    constraint: keepCount({ count: groups, keep }),
  };
  return { problem, H };
}

/** Least sum over rows of 1/2 (w - w0)'H (w - w0) over w that are 0 outside the kept columns, by Gaussian elimination. */
export function bestOn(H: Mat, w0: Mat, keptColumns: Mask): number {
  const { rows, cols } = w0;
  const S = Array.from(keptColumns.keys()).filter((j) => keptColumns[j] === 1);
  let total = 0;
  for (let r = 0; r < rows; r++) {
    const own = Array.from({ length: cols }, (_, j) => w0.data[r * cols + j]!);
    const b = (i: number): number => own.reduce((sum, value, j) => sum + H.data[i * cols + j]! * value, 0);
    const system = S.map((i) => [...S.map((j) => H.data[i * cols + j]!), b(i)]);
    const k = S.length;
    for (let p = 0; p < k; p++) {
      for (let i = p + 1; i < k; i++) {
        const factor = system[i]![p]! / system[p]![p]!;
        for (let j = p; j <= k; j++) system[i]![j]! -= factor * system[p]![j]!;
      }
    }
    const w = new Float64Array(cols);
    for (let p = k - 1; p >= 0; p--) {
      let sum = system[p]![k]!;
      for (let j = p + 1; j < k; j++) sum -= system[p]![j]! * w[S[j]!]!;
      w[S[p]!] = sum / system[p]![p]!;
    }
    for (let i = 0; i < cols; i++) {
      for (let j = 0; j < cols; j++) total += 0.5 * (w[i]! - own[i]!) * H.data[i * cols + j]! * (w[j]! - own[j]!);
    }
  }
  return total;
}

/** Columns of groups that a mask [groups] keeps. */
export function columnsKept(mask: Mask, width: number): Mask {
  return Uint8Array.from({ length: mask.length * width }, (_, j) => mask[Math.floor(j / width)]!);
}

/** All masks of `count` groups with `keep` ones. */
export function allMasks(count: number, keep: number): readonly Mask[] {
  return Array.from({ length: 2 ** count }, (_, bits) =>
    Uint8Array.from({ length: count }, (_, g) => (bits >> g) & 1),
  ).filter((mask) => mask.reduce((sum, bit) => sum + bit, 0) === keep);
}
