/**
 * H = scale G'G + damping I over stored rows, with every view a solver may ask for, each computed in the plainest way in f64:
 * what the tiny problems of the suites are made of.
 */
import {
  type Curvature,
  type CurvatureView,
  dtypeOf,
  type FactorView,
  type InverseView,
  type Mat,
  matrix,
  type Vec,
} from "@secateur/core";
import { inverseOf } from "../linear-algebra.ts";

/** What a tiny curvature is made of. */
export interface TinyCurvatureSpec {
  /** G [n, p], f32 or f64. */
  readonly rows: Mat;
  /** Default 1 / n. */
  readonly scale?: number;
  /** The ridge, >= 0. */
  readonly damping: number;
  /** Which views it offers beside `diagonal` and `apply`; default: all. */
  readonly views?: readonly CurvatureView[];
  /** Whether the factor view has nothing but products. Default false. */
  readonly productsOnly?: boolean;
  /** Called at the start of every call of any view. */
  readonly onCall?: () => void;
}

/** The curvature. A product costs n p multiply-adds, the inverse p^3. */
export function tinyCurvature(spec: TinyCurvatureSpec): Curvature {
  const { damping, views, onCall = () => {} } = spec;
  const dim = spec.rows.cols;
  const view = factorView(spec);
  const dense = (): Mat => denseMatrix(spec);
  const offers = (name: CurvatureView): boolean => views === undefined || views.includes(name);
  const curvature: Curvature = {
    dim,
    diagonal() {
      onCall();
      return view.columnNormsSquared().map((norm) => view.scale * norm + damping);
    },
    apply(x, out) {
      onCall();
      const product = new Float64Array(view.rows);
      const back = new Float64Array(dim);
      view.times(x, product);
      view.transposeTimes(product, back);
      for (let j = 0; j < dim; j++) out[j] = view.scale * back[j]! + damping * x[j]!;
    },
    // Taken as a layer's inputs, the rows have means; nothing declares that it needs them.
    means() {
      onCall();
      const { data, rows, cols } = spec.rows;
      return Float64Array.from({ length: cols }, (_, j) => {
        let sum = 0;
        for (let i = 0; i < rows; i++) sum += data[i * cols + j]!;
        return sum / rows;
      });
    },
    ...(offers("factor") ? { factor: () => view } : {}),
    ...(offers("gram")
      ? {
          gram() {
            onCall();
            return dense();
          },
        }
      : {}),
    ...(offers("inverse")
      ? {
          inverse(support?: Uint32Array) {
            onCall();
            return inverseView(dense(), support ?? Uint32Array.from({ length: dim }, (_, j) => j), damping);
          },
        }
      : {}),
  };
  // All of H is one block of itself.
  return offers("blocks") ? { ...curvature, blocks: () => [{ start: 0, size: dim, curvature }] } : curvature;
}

function factorView({ rows: G, damping, productsOnly, onCall = () => {}, ...spec }: TinyCurvatureSpec): FactorView {
  const { rows: n, cols: p, data } = G;
  const products = {
    rows: n,
    dim: p,
    scale: spec.scale ?? 1 / n,
    damping,
    dtype: dtypeOf(data),
    productCost: n * p,
    times(x: Vec, out: Vec) {
      onCall();
      for (let i = 0; i < n; i++) {
        let sum = 0;
        for (let j = 0; j < p; j++) sum += data[i * p + j]! * x[j]!;
        out[i] = sum;
      }
    },
    transposeTimes(u: Vec, out: Vec) {
      onCall();
      for (let j = 0; j < p; j++) {
        let sum = 0;
        for (let i = 0; i < n; i++) sum += data[i * p + j]! * u[i]!;
        out[j] = sum;
      }
    },
    columnNormsSquared() {
      onCall();
      const norms = new Float64Array(p);
      for (let i = 0; i < n * p; i++) norms[i % p]! += data[i]! ** 2;
      return norms;
    },
  };
  if (productsOnly) return products;
  return {
    ...products,
    rowGram() {
      onCall();
      const K = matrix(n, n, new Float64Array(n * n));
      for (let i = 0; i < n; i++) {
        for (let k = 0; k < n; k++) {
          for (let j = 0; j < p; j++) K.data[i * n + k]! += data[i * p + j]! * data[k * p + j]!;
        }
      }
      return K;
    },
    columns(support: Uint32Array, out: Mat) {
      onCall();
      for (let i = 0; i < n; i++) {
        support.forEach((j, s) => {
          out.data[i * support.length + s] = data[i * p + j]!;
        });
      }
    },
  };
}

function denseMatrix({ rows: { rows: n, cols: p, data }, scale = 1 / n, damping }: TinyCurvatureSpec): Mat {
  const H = matrix(p, p, new Float64Array(p * p));
  for (let a = 0; a < p; a++) {
    for (let b = 0; b < p; b++) {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += data[i * p + a]! * data[i * p + b]!;
      H.data[a * p + b] = scale * sum + (a === b ? damping : 0);
    }
  }
  return H;
}

function inverseView(H: Mat, support: Uint32Array, damping: number): InverseView {
  const p = support.length;
  const inverse = inverseOf(
    matrix(
      p,
      p,
      Float64Array.from({ length: p * p }, (_, i) => H.data[support[Math.floor(i / p)]! * H.cols + support[i % p]!]!),
    ),
    damping,
  );
  return {
    dim: p,
    diagonal: () => Float64Array.from({ length: p }, (_, j) => inverse[j * p + j]!),
    column(j, out) {
      for (let i = 0; i < p; i++) out[i] = inverse[i * p + j]!;
    },
    apply(x, out) {
      const result = new Float64Array(p);
      for (let i = 0; i < p; i++) for (let j = 0; j < p; j++) result[i]! += inverse[i * p + j]! * x[j]!;
      out.set(result);
    },
    block(chosen) {
      const size = chosen.length;
      const entry = (i: number): number => inverse[chosen[Math.floor(i / size)]! * p + chosen[i % size]!]!;
      return matrix(
        size,
        size,
        Float64Array.from({ length: size * size }, (_, i) => entry(i)),
      );
    },
    release() {},
  };
}
