/** Problems small enough for brute force, each awkward in its own way. */
import {
  arrayDataset,
  type CurvatureView,
  createRng,
  type Dtype,
  type Mat,
  matrix,
  type Problem,
  type ProblemSource,
  type Rng,
  type Vec,
} from "@secateur/core";
import type { Numbers } from "../assertions.ts";
import { tinyCurvature } from "../models/tiny-curvature.ts";
import { type Budget, type BudgetKind, budgetOf } from "./budgets.ts";

/** What may be awkward about weights and gradient rows. */
export type Awkwardness =
  | "plain"
  | "dead columns"
  | "equal columns"
  | "rank two"
  | "uneven columns"
  | "zero weights"
  | "ties";

/** What to pose; everything has a default. */
export interface TinySpec {
  readonly kind?: Awkwardness;
  readonly budget?: BudgetKind | ((shape: { rows: number; cols: number }) => Budget);
  readonly dtype?: Dtype;
  /** Rows of weights that share H; default 1. */
  readonly rows?: number;
  /** Weights a row, a multiple of 4; default 12, or 4 with several rows. */
  readonly cols?: number;
  /** Gradient rows; default 7. */
  readonly examples?: number;
  /** Default 0.05. */
  readonly damping?: number;
  /** Whether there is a first-order term; default false. */
  readonly firstOrder?: boolean;
  /** Default 0. */
  readonly seed?: number;
  /** A reordering of the columns: new column j is old column order[j]. */
  readonly order?: readonly number[];
  readonly views?: readonly CurvatureView[];
  readonly productsOnly?: boolean;
  /** Makes the gradient rows; default: standard normals, made awkward. */
  readonly gradientRows?: (shape: { examples: number; cols: number }) => Mat;
  readonly onCall?: () => void;
}

/** A problem, what to call it in messages, and the arrays that nobody may change. */
export interface TinyProblem {
  readonly label: string;
  readonly problem: Problem;
  readonly inputs: Readonly<Record<string, Numbers | undefined>>;
}

/** Poses a problem. The same spec gives the same bytes. */
export function tinyProblem(spec: TinySpec = {}): TinyProblem {
  const { kind = "plain", budget = "sparsity", dtype = "f64", rows = 1, damping = 0.05, seed = 0, examples = 7 } = spec;
  const cols = spec.cols ?? (rows > 1 ? 4 : 12);
  const rng = createRng(`tiny ${kind} ${seed}`);
  const normal = (length: number, from: Rng): Vec =>
    inDtype(
      Float64Array.from({ length }, () => from.normal()),
      dtype,
    );
  const given = spec.gradientRows?.({ examples, cols });
  const plain = given
    ? matrix(given.rows, cols, inDtype(given.data, dtype))
    : matrix(examples, cols, normal(examples * cols, rng.fork("rows")));
  if (!given) makeAwkward(kind, plain);
  const weights = matrix(rows, cols, normal(rows * cols, rng.fork("weights")));
  if (kind === "zero weights") for (let i = 0; i < weights.data.length; i += 2) weights.data[i] = 0;
  if (kind === "ties") weights.data.fill(0.5);
  const slope = spec.firstOrder
    ? matrix(
        rows,
        cols,
        inDtype(
          normal(rows * cols, rng.fork("slope")).map((value) => 0.1 * value),
          dtype,
        ),
      )
    : undefined;
  const order = spec.order ?? Array.from({ length: cols }, (_, j) => j);
  const G = reorder(plain, order);
  const w = reorder(weights, order);
  const gradient = slope && reorder(slope, order);
  const { units, constraint } =
    typeof budget === "function" ? budget({ rows, cols }) : budgetOf(budget, { rows, cols });
  const { views, productsOnly = false, onCall } = spec;
  const curvature = tinyCurvature({
    rows: G,
    damping,
    productsOnly,
    ...(views ? { views } : {}),
    ...(onCall ? { onCall } : {}),
  });
  const shape = rows > 1 ? `${rows} rows of ${cols} weights` : `${cols} weights`;
  const slopeText = gradient ? ", with a first-order term" : "";
  return {
    label: `${kind}, ${shape}, ${constraint.kind} of ${units.count} units, ${dtype}, damping ${damping}${slopeText}`,
    problem: {
      id: "conformance",
      w,
      curvature,
      ...(gradient ? { gradient } : {}),
      units,
      constraint,
      source: sourceOf({ w, rows: G, damping, ...(gradient ? { gradient } : {}) }),
    },
    inputs: {
      weights: w.data,
      "gradient rows": G.data,
      gradient: gradient?.data,
      eligible: constraint.count?.eligible,
    },
  };
}

/** A model whose loss is the problem's Q, with the mean gradient row as its slope where the problem leaves it out. */
function sourceOf(spec: { w: Mat; rows: Mat; damping: number; gradient?: Mat }): ProblemSource {
  const { w, rows: G, damping, gradient } = spec;
  const meanRow = Float64Array.from({ length: G.cols }, (_, j) => {
    let sum = 0;
    for (let i = 0; i < G.rows; i++) sum += G.data[i * G.cols + j]!;
    return sum / G.rows;
  });
  const slope = Float64Array.from(w.data, (_, i) => gradient?.data[i] ?? meanRow[i % G.cols]!);
  /** out = H x, row by row. */
  const product = (x: Vec, out: Vec): void => {
    for (let start = 0; start < x.length; start += G.cols) {
      for (let j = 0; j < G.cols; j++) out[start + j] = damping * x[start + j]!;
      for (let i = 0; i < G.rows; i++) {
        const row = G.data.subarray(i * G.cols, (i + 1) * G.cols);
        let dot = 0;
        for (let j = 0; j < G.cols; j++) dot += row[j]! * x[start + j]!;
        for (let j = 0; j < G.cols; j++) out[start + j] = out[start + j]! + (dot / G.rows) * row[j]!;
      }
    }
  };
  const apart = (at: Vec, from: Vec): Float64Array => Float64Array.from(at, (value, i) => value - from[i]!);
  /** 1/2 d'H d with d = at - target; H d in `out`. */
  const lossAt = (at: Vec, target: Vec, out: Vec): number => {
    const d = apart(at, target);
    product(d, out);
    return d.reduce((sum, value, i) => sum + (value * out[i]!) / 2, 0);
  };
  return {
    params: ["w"],
    data: arrayDataset({ inputs: matrix(1, 1), labels: [0] }),
    model: {
      name: "a quadratic",
      async hessianProducts({ at = w.data }) {
        const moved = new Float64Array(w.data.length);
        product(apart(at, w.data), moved);
        const times = async (x: Vec, out: Vec): Promise<void> => product(x, out);
        return { gradient: slope.map((value, i) => value + moved[i]!), loss: 0, times };
      },
      synapticFlow: async () => slope.map(Math.abs),
      // The problem has one layer, and what it leads to is itself: 1/2 (w - target)'H (w - target).
      reconstruction: async ({ target }) => ({
        loss: (at) => lossAt(at, target, new Float64Array(at.length)),
        gradient: (at, out) => lossAt(at, target, out),
        times: (_, x, out) => product(x, out),
      }),
    },
  };
}

function inDtype(values: Vec, dtype: Dtype): Vec {
  return dtype === "f64" ? Float64Array.from(values) : Float32Array.from(values);
}

/** Every change is exact in f32. */
function makeAwkward(kind: Awkwardness, { rows, cols, data }: Mat): void {
  for (let i = 0; i < rows; i++) {
    const row = data.subarray(i * cols, (i + 1) * cols);
    switch (kind) {
      case "plain":
      case "zero weights":
        break;
      case "dead columns":
        row[1] = row[3] = 0;
        break;
      case "equal columns":
        row[2] = row[0]!;
        row[3] = -row[1]!;
        break;
      case "rank two":
        if (i >= 2) for (let j = 0; j < cols; j++) row[j] = (i % 2 === 0 ? 1 : -0.5) * data[(i % 2) * cols + j]!;
        break;
      case "uneven columns":
        for (let j = 0; j < cols; j++) row[j] = row[j]! * 2 ** -(j % 7);
        break;
      case "ties":
        row.fill(row[0]!);
        break;
      default:
        kind satisfies never;
    }
  }
}

function reorder({ rows, cols, data }: Mat, order: readonly number[]): Mat {
  const moved = data.slice();
  for (let i = 0; i < rows; i++) {
    order.forEach((from, to) => {
      moved[i * cols + to] = data[i * cols + from]!;
    });
  }
  return matrix(rows, cols, moved);
}
