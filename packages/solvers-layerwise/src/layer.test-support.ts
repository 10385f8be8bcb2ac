/** Small layers with inputs that hang together, and slow exact answers to compare with. */
import {
  type Constraint,
  createRng,
  keepCount,
  type Mask,
  type Mat,
  matrix,
  type Problem,
  weightUnits,
} from "@secateur/core";

/** Inputs [examples, cols] whose neighbours are alike, so that removed weights can be made up for. */
export function someInputs(examples: number, cols: number, seed = 0): Mat {
  const rng = createRng(`inputs ${seed}`);
  const data = new Float64Array(examples * cols);
  for (let i = 0; i < examples; i++) {
    let carried = rng.normal();
    for (let j = 0; j < cols; j++) {
      carried = 0.8 * carried + 0.6 * rng.normal();
      data[i * cols + j] = carried * (1 + (j % 3));
    }
  }
  return matrix(examples, cols, data);
}

/** X'X / n, f64. */
export function secondMoment({ rows, cols, data }: Mat): Mat {
  const H = new Float64Array(cols * cols);
  for (let i = 0; i < cols; i++) {
    for (let j = 0; j < cols; j++) {
      let sum = 0;
      for (let e = 0; e < rows; e++) sum += data[e * cols + i]! * data[e * cols + j]!;
      H[i * cols + j] = sum / rows;
    }
  }
  return matrix(cols, cols, H);
}

/** A layer's problem with H written out. */
export function layerOf(spec: {
  rows: number;
  cols: number;
  examples?: number;
  H?: Mat;
  w?: Mat;
  seed?: number;
  constraint: (count: number) => Constraint;
}): Problem {
  const { rows, cols, examples = 4 * cols, seed = 0 } = spec;
  const H = spec.H ?? secondMoment(someInputs(examples, cols, seed));
  const rng = createRng(`weights ${seed}`);
  const w =
    spec.w ??
    matrix(
      rows,
      cols,
      Float64Array.from({ length: rows * cols }, () => rng.normal()),
    );
  return {
    id: "fc1",
    w,
    curvature: {
      dim: cols,
      diagonal: () => Float64Array.from({ length: cols }, (_, j) => H.data[j * (cols + 1)]!),
      gram: () => H,
      apply(x, out) {
        for (let i = 0; i < cols; i++) {
          let sum = 0;
          for (let j = 0; j < cols; j++) sum += H.data[i * cols + j]! * x[j]!;
          out[i] = sum;
        }
      },
    },
    units: weightUnits(rows * cols),
    constraint: spec.constraint(rows * cols),
  };
}

/** A budget of so many weights, as {@link layerOf} takes it. */
export const keeping =
  (keep: number) =>
  (count: number): Constraint =>
    keepCount({ count, keep });

/** Least 1/2 (r - w0)'H (r - w0) over rows r that are 0 outside a mask, by Gaussian elimination; and r itself. */
export function bestOnMask(H: Mat, w0: Float64Array, mask: Mask): { loss: number; w: Float64Array } {
  const n = w0.length;
  const support = Array.from(mask, (bit, j) => (bit === 1 ? j : -1)).filter((j) => j >= 0);
  const k = support.length;
  const system = support.map((i) => [
    ...support.map((j) => H.data[i * n + j]!),
    w0.reduce((sum, value, j) => sum + H.data[i * n + j]! * value, 0),
  ]);
  for (let p = 0; p < k; p++) {
    const pivotRow = system[p]!;
    for (let i = p + 1; i < k; i++) {
      const factor = system[i]![p]! / pivotRow[p]!;
      for (let j = p; j <= k; j++) system[i]![j]! -= factor * pivotRow[j]!;
    }
  }
  const w = new Float64Array(n);
  for (let p = k - 1; p >= 0; p--) {
    let sum = system[p]![k]!;
    for (let j = p + 1; j < k; j++) sum -= system[p]![j]! * w[support[j]!]!;
    w[support[p]!] = sum / system[p]![p]!;
  }
  let loss = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) loss += 0.5 * (w[i]! - w0[i]!) * H.data[i * n + j]! * (w[j]! - w0[j]!);
  }
  return { loss, w };
}
