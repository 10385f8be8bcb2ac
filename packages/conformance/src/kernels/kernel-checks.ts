/** A backend's kernels against the reference kernels of core. */
import { type Dtype, type Kernels, matrix, referenceKernels } from "@secateur/core";
import { ensure, ensureClose, ensureSameBytes } from "../assertions.ts";
import { type Check, type RegisterTest, registerChecks } from "../check.ts";
import type { KernelCase, Outcome } from "./kernel-case.ts";
import { type CheckedKernel, kernelCases } from "./kernel-cases.ts";
import { Operands, type Residence } from "./kernel-operands.ts";

/** A backend. */
export interface KernelsSpec {
  /** Makes its kernels; called once for every check. */
  readonly create: () => Kernels | Promise<Kernels>;
  /** Gives back what `create` made, such as threads; called after every check. */
  readonly release?: (kernels: Kernels) => void | Promise<void>;
  /** For the names of the tests; default "the backend". */
  readonly name?: string;
}

/** Registers a backend's suite: every kernel, both dtypes, wherever operands live. */
export function describeKernels(suite: KernelsSpec & { readonly test: RegisterTest }): void {
  registerChecks(suite.test, suite.name ?? "the backend", kernelChecks(suite));
}

const dtypes: readonly Dtype[] = ["f32", "f64"];
const residences: readonly Residence[] = ["inside", "outside", "offset"];

/** Relative to the largest number of a result, for results that are not exact: sums of up to a hundred rounded terms. */
const roundoff: Readonly<Record<Dtype, number>> = { f32: 2e-5, f64: 1e-12 };

/** The checks of {@link describeKernels}. */
export function kernelChecks(spec: KernelsSpec): readonly Check[] {
  const check = (name: string, judge: (kernels: Kernels) => void): Check => ({
    name,
    async run() {
      const kernels = await spec.create();
      try {
        judge(kernels);
      } finally {
        await spec.release?.(kernels);
      }
    },
  });
  return [
    check("has a name and says on how many threads it works", ({ name, threads }) => {
      ensure(typeof name === "string" && name !== "", () => `name is ${JSON.stringify(name)}`);
      ensure(
        Number.isInteger(threads) && threads >= 1,
        () => `threads is ${threads}, expected a whole number of at least 1`,
      );
    }),
    check("hands out zeros, in vectors that do not overlap", ensureAllocation),
    ...Object.entries(kernelCases).map(([kernel, cases]) =>
      check(`${kernel} agrees with the reference, twice the same, and leaves its inputs`, (kernels) => {
        for (const one of cases) ensureCase(kernels, kernel, one);
      }),
    ),
    check("refuses operands that do not fit with a RangeError", ensureRefusals),
  ];
}

function ensureAllocation(kernels: Kernels): void {
  for (const dtype of dtypes) {
    const vectors = [0, 1, 7, 1000, 7].map((length) => kernels.alloc(length, dtype));
    for (const [i, vector] of vectors.entries()) {
      const wanted = dtype === "f64" ? Float64Array : Float32Array;
      ensure(vector instanceof wanted, () => `alloc of ${dtype} gives ${vector.constructor.name}`);
      ensure(
        kernels.holds === undefined || vector.length === 0 || kernels.holds(vector),
        () => "holds says no of a vector of alloc",
      );
      ensure(vector.length === [0, 1, 7, 1000, 7][i], () => `alloc gives ${vector.length} numbers`);
      ensure(
        vector.every((value) => value === 0),
        () => "alloc gives a vector that is not all zeros",
      );
      vector.fill(i + 1);
    }
    for (const [i, vector] of vectors.entries()) {
      ensure(
        vector.every((value) => value === i + 1),
        () => "two vectors of alloc share memory",
      );
    }
    for (const vector of vectors) kernels.free(vector);
    kernels.free(new Float64Array(3));
    const again = kernels.alloc(1000, dtype);
    ensure(
      again.every((value) => value === 0),
      () => "alloc gives memory that was freed, with its old numbers",
    );
    kernels.free(again);
  }
}

function ensureCase(kernels: Kernels, kernel: string, { label, isExact, isJudgedInF64, run }: KernelCase): void {
  for (const dtype of dtypes) {
    const judge = isJudgedInF64 ? "f64" : dtype;
    const expected = run(referenceKernels, new Operands(referenceKernels, judge, "outside"), judge);
    for (const residence of residences) {
      const what = `${kernel} of ${label}, ${dtype}, operands ${residence}`;
      const make = new Operands(kernels, dtype, residence);
      const found = run(kernels, make, dtype);
      make.ensureInputsUnchanged(what);
      found.forEach((one, i) => {
        compare(one, expected[i]!, { what, tolerance: isExact ? 0 : roundoff[dtype] });
      });
      const again = run(kernels, new Operands(kernels, dtype, residence), dtype);
      again.forEach((one, i) => {
        compare(one, found[i]!, { what: `a second ${what}`, tolerance: 0 });
      });
    }
  }
}

function compare(found: Outcome, expected: Outcome, spec: { what: string; tolerance: number }): void {
  const { what, tolerance } = spec;
  if (typeof found === "number" || typeof expected === "number") {
    const isClose =
      found === expected || Math.abs(Number(found) - Number(expected)) <= tolerance * Math.abs(Number(expected));
    ensure(isClose, () => `${what}: found ${String(found)}, expected ${String(expected)}`);
  } else if (tolerance === 0) {
    ensureSameBytes(canonical(found), canonical(expected), what);
  } else {
    ensureClose(found, expected, { what, tolerance });
  }
}

/** A zero's sign may depend on the order of a sum, and NaN's bits on the processor. */
function canonical(values: Exclude<Outcome, number>): Exclude<Outcome, number> {
  const plain = values.slice() as Exclude<Outcome, number>;
  for (let i = 0; i < plain.length; i++) {
    if (plain[i] === 0) plain[i] = 0;
    else if (Number.isNaN(plain[i])) plain[i] = Number.NaN;
  }
  return plain;
}

function ensureRefusals(kernels: Kernels): void {
  const m = (rows: number, cols: number) => matrix(rows, cols, new Float64Array(rows * cols));
  const v = (length: number): Float64Array => new Float64Array(length);
  const shape = {
    batch: 1,
    height: 3,
    width: 3,
    channels: 1,
    kernel: [2, 2],
    stride: 1,
    padding: 0,
    dilation: 1,
  } as const;
  const conv = { ...shape, outputs: 1, groups: 1 } as const;
  const shared = m(3, 3);
  const R = referenceKernels;
  const pattern = { rows: 1, cols: 1, starts: Uint32Array.of(0, 1), columns: Uint32Array.of(0) };
  const gate = v(32);
  const chain = { count: 1, size: 1, layers: [{ inputs: v(32), pattern, start: 0, gate }] };
  const calls: readonly (readonly [kernel: CheckedKernel, what: string, call: () => unknown])[] = [
    ["gemm", "2 x 3 by 4 x 2", () => kernels.gemm({ a: m(2, 3), b: m(4, 2), out: m(2, 2) })],
    ["gemm", "an out of another shape", () => kernels.gemm({ a: m(2, 3), b: m(3, 2), out: m(2, 3) })],
    ["gemm", "f32 and f64", () => kernels.gemm({ a: m(2, 2), b: matrix(2, 2), out: m(2, 2) })],
    ["gemm", "an out that is an input", () => kernels.gemm({ a: shared, b: m(3, 3), out: shared })],
    ["gram", "an out of another shape", () => kernels.gram({ a: m(2, 3), out: m(3, 3) })],
    ["gemv", "a vector too short", () => kernels.gemv({ a: m(2, 3), x: v(2), out: v(2) })],
    ["cholesky", "a matrix that is not square", () => kernels.cholesky(m(2, 3))],
    ["triangularSolve", "too few right-hand rows", () => kernels.triangularSolve({ l: m(3, 3), b: m(2, 1) })],
    ["dot", "vectors of 2 and 3", () => kernels.dot(v(2), v(3))],
    ["axpy", "vectors of 2 and 3", () => kernels.axpy(1, v(2), v(3))],
    [
      "momentumStep",
      "a gradient too short",
      () => {
        const step = kernels.momentumStep ?? referenceKernels.momentumStep!;
        step({ w: v(3), velocity: v(3), gradient: v(2), momentum: 0.5, decay: 0, rate: 1 });
      },
    ],
    ["multiply", "an out too short", () => kernels.multiply(v(3), v(3), v(2))],
    ["scaleRows", "too few scales", () => kernels.scaleRows(m(3, 2), v(2), m(3, 2))],
    ["rowDots", "matrices of two shapes", () => kernels.rowDots(m(2, 3), m(3, 2), v(2), 0)],
    ["columnSums", "an out too short", () => kernels.columnSums(m(2, 3), v(2))],
    ["addRow", "a row too long", () => kernels.addRow(m(2, 3), v(4))],
    ["columnDots", "an out too short", () => kernels.columnDots(m(2, 3), m(2, 3), v(2))],
    ["affineColumns", "a scale too short", () => kernels.affineColumns({ a: m(2, 3), alpha: v(2), out: m(2, 3) })],
    ["transposeBlocks", "an out too short", () => kernels.transposeBlocks(v(6), { count: 1, rows: 2, cols: 3 }, v(5))],
    [
      "gatherWindows",
      "windows of another shape",
      () => kernels.gatherWindows({ shape, images: v(9), windows: m(4, 5) }),
    ],
    [
      "windowGram",
      "an out of another shape",
      () => (kernels.windowGram ?? referenceKernels.windowGram!)({ shape, images: v(9), out: m(4, 5) }),
    ],
    ["scatterWindows", "images too small", () => kernels.scatterWindows({ shape, images: v(8), windows: m(4, 4) })],
    ["convolve", "weights too few", () => kernels.convolve({ shape: conv, images: v(9), weights: v(3), out: v(4) })],
    [
      "convolveBack",
      "deltas too few",
      () => kernels.convolveBack({ shape: conv, deltas: v(3), weights: v(4), out: v(9) }),
    ],
    [
      "convolutionGradients",
      "rows too many",
      () => kernels.convolutionGradients({ shape: conv, images: v(9), deltas: v(4), group: 1, out: m(2, 4) }),
    ],
    ["chainTimes", "outputs too few", () => (kernels.chainTimes ?? R.chainTimes!)({ chain, x: v(1), out: v(31) })],
    [
      "chainTransposeTimes",
      "deltas in f32 of a chain in f64",
      () => (kernels.chainTransposeTimes ?? R.chainTransposeTimes!)({ chain, u: new Float32Array(32), out: v(1) }),
    ],
    [
      "chainGram",
      "a result that lies in a gate",
      () => (kernels.chainGram ?? R.chainGram!)({ chain, x: v(1), probabilities: v(32), out: gate.subarray(0, 1) }),
    ],
    [
      "chainSquares",
      "no room for a layer",
      () => (kernels.chainSquares ?? R.chainSquares!)({ chain, probabilities: v(32), out: [] }),
    ],
    ["gatherColumns", "a column that does not exist", () => kernels.gatherColumns(m(2, 3), Uint32Array.of(3), m(2, 1))],
    ["largest", "more than there are", () => kernels.largest(v(3), 4)],
    ["largest", "half a number", () => kernels.largest(v(3), 1.5)],
    ["relu", "an out too short", () => kernels.relu(v(3), v(2))],
    ["reluBackward", "a gradient too short", () => kernels.reluBackward(v(3), v(2), v(3))],
    [
      "softmaxCrossEntropy",
      "a label that is no class",
      () => kernels.softmaxCrossEntropy({ logits: m(1, 2), labels: Uint32Array.of(2), loss: v(1) }),
    ],
  ];
  for (const [kernel, what, call] of calls) {
    let error: unknown;
    try {
      call();
    } catch (thrown) {
      error = thrown;
    }
    ensure(
      error instanceof RangeError,
      () => `${kernel} of ${what}: ended with ${String(error ?? "a result")}, expected a RangeError`,
    );
  }
}
