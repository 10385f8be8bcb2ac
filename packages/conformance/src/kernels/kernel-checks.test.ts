import { type Kernels, referenceKernels } from "@secateur/core";
import { describe, test } from "vitest";
import { testPlanted } from "../planted.test-support.ts";
import { describeKernels, kernelChecks } from "./kernel-checks.ts";

describeKernels({ test, name: "the reference backend", create: () => referenceKernels });

const broken = (change: Partial<Kernels>) => kernelChecks({ create: () => ({ ...referenceKernels, ...change }) });
const R = referenceKernels;

describe("the suite rejects kernels whose", () => {
  testPlanted([
    ["name is missing", () => broken({ name: "" }), /has a name/],
    [
      "memory is not cleared",
      () => broken({ alloc: (length, dtype) => R.alloc(length, dtype).fill(1) }),
      /hands out zeros/,
    ],
    [
      "vectors share memory",
      () => {
        const pool = new ArrayBuffer(1 << 20);
        return broken({
          alloc: (length, dtype) =>
            dtype === "f64" ? new Float64Array(pool, 0, length).fill(0) : new Float32Array(pool, 0, length).fill(0),
        });
      },
      /hands out zeros/,
    ],
    ["gemm forgets beta", () => broken({ gemm: ({ beta: _, ...spec }) => R.gemm(spec) }), /^gemm/],
    [
      "gemm reads what out held",
      () =>
        broken({
          gemm: (spec) => {
            if (!spec.beta) for (let i = 0; i < spec.out.data.length; i++) spec.out.data[i]! *= 0;
            R.gemm({ ...spec, beta: 1 });
          },
        }),
      /^gemm/,
    ],
    [
      "gemm drops the last term of long sums",
      () =>
        broken({
          gemm: (spec) => {
            const { a, transposeA } = spec;
            const k = transposeA ? a.rows : a.cols;
            if (k < 33 || transposeA) return R.gemm(spec);
            const data = a.data.slice();
            for (let i = 0; i < a.rows; i++) data[i * a.cols + k - 1] = 0;
            R.gemm({ ...spec, a: { ...a, data } });
          },
        }),
      /^gemm/,
    ],
    [
      "gemm ignores that b is transposed where both are square",
      () => broken({ gemm: (spec) => R.gemm(spec.b.rows === spec.b.cols ? { ...spec, transposeB: false } : spec) }),
      /^gemm/,
    ],
    [
      "gram writes one triangle",
      () =>
        broken({
          gram: (spec) => {
            R.gram(spec);
            for (let i = 0; i < spec.out.rows; i++)
              spec.out.data.fill(0, i * spec.out.cols + i + 1, (i + 1) * spec.out.cols);
          },
        }),
      /^gram/,
    ],
    [
      "gemv multiplies by alpha twice",
      () => broken({ gemv: (spec) => R.gemv({ ...spec, alpha: (spec.alpha ?? 1) ** 2 }) }),
      /^gemv/,
    ],
    [
      "gemv over an f32 matrix rounds its f64 vector",
      () =>
        broken({
          gemv: (spec) => {
            const isMixed = spec.a.data instanceof Float32Array && spec.x instanceof Float64Array;
            R.gemv(isMixed ? { ...spec, x: Float64Array.from(Float32Array.from(spec.x)) } : spec);
          },
        }),
      /^gemv/,
    ],
    [
      "gram reads above the diagonal",
      () =>
        broken({
          gram: (spec) => {
            const { data, rows: n } = spec.out;
            for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) data[i * n + j] = data[j * n + i]!;
            R.gram(spec);
          },
        }),
      /^gram/,
    ],
    [
      "cholesky reads above the diagonal",
      () =>
        broken({
          cholesky: (a) => {
            for (let i = 0; i < a.rows; i++)
              for (let j = 0; j < i; j++) a.data[i * a.cols + j] = a.data[j * a.cols + i]!;
            return R.cholesky(a);
          },
        }),
      /^cholesky/,
    ],
    [
      "cholesky leaves junk above the diagonal",
      () =>
        broken({
          cholesky: (a) => {
            const pivot = R.cholesky(a);
            if (a.cols > 1) a.data[1] = 7;
            return pivot;
          },
        }),
      /^cholesky/,
    ],
    [
      "cholesky overlooks a pivot that is not positive",
      () =>
        broken({
          cholesky: (a) => {
            R.cholesky(a);
            return -1;
          },
        }),
      /^cholesky/,
    ],
    [
      "triangularSolve forgets to transpose",
      () => broken({ triangularSolve: (spec) => R.triangularSolve({ ...spec, transpose: false }) }),
      /^triangularSolve/,
    ],
    [
      "dot loses the tail of a vector",
      () =>
        broken({
          dot: (a, b) => {
            const n = a.length - (a.length % 4);
            return a.length === b.length ? R.dot(a.subarray(0, n), b.subarray(0, n)) : R.dot(a, b);
          },
        }),
      /^dot/,
    ],
    [
      "axpy writes into x",
      () =>
        broken({
          axpy: (alpha, x, y) => {
            R.axpy(alpha, x, y);
            if (x.length > 0) x[0]! += 1;
          },
        }),
      /^axpy/,
    ],
    [
      "momentumStep leaves the velocity as it was",
      () => broken({ momentumStep: (spec) => R.momentumStep!({ ...spec, velocity: spec.velocity.slice() }) }),
      /^momentumStep/,
    ],
    [
      "momentumStep moves by a velocity that was not rounded yet",
      () =>
        broken({
          momentumStep({ w, velocity, gradient, momentum, decay, rate }) {
            for (let i = 0; i < w.length; i++) {
              const next = momentum * velocity[i]! + (gradient[i]! + decay * w[i]!);
              velocity[i] = next;
              w[i] = w[i]! - rate * next;
            }
          },
        }),
      /^momentumStep/,
    ],
    [
      "momentumStep forgets the decay",
      () => broken({ momentumStep: (spec) => R.momentumStep!({ ...spec, decay: 0 }) }),
      /^momentumStep/,
    ],
    ["rowDots forgets beta", () => broken({ rowDots: (a, b, out) => R.rowDots(a, b, out, 0) }), /^rowDots/],
    [
      "affineColumns forgets gamma",
      () => broken({ affineColumns: ({ gamma: _, ...spec }) => R.affineColumns(spec) }),
      /^affineColumns/,
    ],
    [
      "gatherWindows ignores the dilation",
      () =>
        broken({
          gatherWindows: (spec) =>
            spec.shape.dilation === 1 ? R.gatherWindows(spec) : spec.windows.data.fill(0) && undefined,
        }),
      /^gatherWindows/,
    ],
    [
      "scatterWindows clears channels out of range",
      () =>
        broken({
          scatterWindows: (spec) => {
            if (spec.shape.channelRange) spec.images.fill(0);
            R.scatterWindows(spec);
          },
        }),
      /^scatterWindows/,
    ],
    [
      "convolve forgets the bias",
      () => broken({ convolve: ({ bias: _, ...spec }) => R.convolve(spec) }),
      /^convolve agrees/,
    ],
    [
      "convolveBack adds to what out held",
      () =>
        broken({
          convolveBack(spec) {
            const before = spec.out.slice();
            R.convolveBack(spec);
            for (let i = 0; i < before.length; i++) spec.out[i]! += before[i]!;
          },
        }),
      /^convolveBack/,
    ],
    [
      "convolutionGradients gives the mean of a group",
      () =>
        broken({
          convolutionGradients(spec) {
            R.convolutionGradients(spec);
            for (let i = 0; i < spec.out.data.length; i++) spec.out.data[i]! /= spec.group;
          },
        }),
      /^convolutionGradients/,
    ],
    [
      "largest gives ties to the higher index",
      () =>
        broken({
          largest: (scores, k) => {
            const flipped = R.largest(scores.slice().reverse(), k);
            return flipped.map((i) => scores.length - 1 - i).reverse();
          },
        }),
      /^largest/,
    ],
    [
      "largest takes NaN for large",
      () =>
        broken({
          largest: (scores, k) =>
            R.largest(
              scores.map((value) => (Number.isNaN(value) ? 1e9 : value)),
              k,
            ),
        }),
      /^largest/,
    ],
    [
      "relu turns NaN into 0",
      () =>
        broken({
          relu: (x, out) => {
            R.relu(x, out);
            for (let i = 0; i < out.length; i++) if (Number.isNaN(out[i])) out[i] = 0;
          },
        }),
      /^relu agrees/,
    ],
    [
      "softmax overflows",
      () =>
        broken({
          softmaxCrossEntropy: (spec) =>
            R.softmaxCrossEntropy(spec) +
            (spec.logits.data.some((value) => value > 300) ? Number.POSITIVE_INFINITY : 0),
        }),
      /^softmaxCrossEntropy/,
    ],
    [
      "loss is the mean instead of the sum",
      () => broken({ softmaxCrossEntropy: (spec) => R.softmaxCrossEntropy(spec) / Math.max(1, spec.labels.length) }),
      /^softmaxCrossEntropy/,
    ],
    [
      "results change from call to call",
      () => {
        let calls = 0;
        return broken({ dot: (a, b) => R.dot(a, b) + (a.length === 1027 ? 1e-9 * calls++ : 0) });
      },
      /^dot/,
    ],
    [
      "f32 path is wrong",
      () =>
        broken({
          multiply: (a, b, out) => {
            R.multiply(a, b, out);
            if (out instanceof Float32Array && out.length > 8) out[8] = 0;
          },
        }),
      /^multiply/,
    ],
    [
      "views into larger arrays are misread",
      () =>
        broken({
          columnSums: (a, out) =>
            R.columnSums(
              a.data.byteOffset > 0 && a.data.buffer.byteLength > a.data.byteLength
                ? { ...a, data: a.data.slice().fill(0) }
                : a,
              out,
            ),
        }),
      /^columnSums/,
    ],
    [
      "shapes go unchecked",
      () =>
        broken({
          dot: (a, b) => {
            let sum = 0;
            for (let i = 0; i < a.length; i++) sum += a[i]! * (b[i] ?? 0);
            return sum;
          },
        }),
      /refuses operands/,
    ],
  ]);
});
