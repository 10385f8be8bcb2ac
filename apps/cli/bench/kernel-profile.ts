/**
 * Where a solve spends its time, seen from outside: kernels and a factor view whose calls are timed. A call inside another
 * counts for the outer one; what is in none is the solver's own code.
 */
import type { FactorView, Kernels, Mat } from "@secateur/core";

/** What was measured since the last reset. */
export interface Profile {
  /** Milliseconds by kind of call. */
  readonly ms: Map<string, number>;
  /** Floating-point operations of matrix kernels in f32 and f64. */
  readonly flops: { f32: number; f64: number };
  reset(): void;
  measure<T>(kind: string, work: () => T): T;
}

/** An empty profile. */
export function createProfile(): Profile {
  let depth = 0;
  const ms = new Map<string, number>();
  const flops = { f32: 0, f64: 0 };
  return {
    ms,
    flops,
    reset() {
      ms.clear();
      flops.f32 = 0;
      flops.f64 = 0;
    },
    measure(kind, work) {
      if (depth > 0) return work();
      depth++;
      const started = performance.now();
      try {
        return work();
      } finally {
        ms.set(kind, (ms.get(kind) ?? 0) + performance.now() - started);
        depth--;
      }
    },
  };
}

/** The same kernels, timed and counted. */
export function profiledKernels(kernels: Kernels, profile: Profile): Kernels {
  const count = (a: Mat, flops: number): void => {
    profile.flops[a.data instanceof Float64Array ? "f64" : "f32"] += flops;
  };
  return {
    ...kernels,
    gemm(spec) {
      count(spec.a, 2 * spec.a.data.length * (spec.transposeB ? spec.b.rows : spec.b.cols));
      profile.measure("gemm, gram", () => kernels.gemm(spec));
    },
    gram(spec) {
      count(spec.a, spec.a.data.length * spec.out.rows);
      profile.measure("gemm, gram", () => kernels.gram(spec));
    },
    gemv(spec) {
      count(spec.a, 2 * spec.a.data.length);
      profile.measure("gemv", () => kernels.gemv(spec));
    },
    rowDots(a, b, out, beta) {
      count(a, 2 * a.data.length);
      profile.measure("gemv", () => kernels.rowDots(a, b, out, beta));
    },
    cholesky(a) {
      count(a, a.rows ** 3 / 3);
      return profile.measure("Cholesky", () => kernels.cholesky(a));
    },
    triangularSolve(spec) {
      count(spec.l, spec.l.rows ** 2 * spec.b.cols);
      profile.measure("triangular", () => kernels.triangularSolve(spec));
    },
    largest: (scores, k) => profile.measure("k-th largest", () => kernels.largest(scores, k)),
    dot: (a, b) => profile.measure("vectors", () => kernels.dot(a, b)),
    axpy: (alpha, x, y) => profile.measure("vectors", () => kernels.axpy(alpha, x, y)),
    multiply: (a, b, out) => profile.measure("vectors", () => kernels.multiply(a, b, out)),
  };
}

/** The same view, timed. Its methods must not be asynchronous, which those over rows in memory are not. */
export function profiledView(view: FactorView, profile: Profile): FactorView {
  const { rowGram, columns } = view;
  return {
    ...view,
    times: (x, out) => profile.measure("products", () => view.times(x, out)),
    transposeTimes: (u, out) => profile.measure("products", () => view.transposeTimes(u, out)),
    ...(rowGram ? { rowGram: () => profile.measure("row Gram", rowGram) } : {}),
    ...(columns
      ? { columns: (support: Uint32Array, out: Mat) => profile.measure("columns", () => columns(support, out)) }
      : {}),
    columnNormsSquared: () => profile.measure("norms", () => view.columnNormsSquared()),
  };
}
