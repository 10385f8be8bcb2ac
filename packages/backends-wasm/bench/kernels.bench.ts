/**
 * Speed of the kernels, in both builds, on 1 and 2 threads: `node packages/backends-wasm/bench/kernels.bench.ts [PART-OF-NAME...]`.
 * Each row is the best of several runs: milliseconds, GFLOPS or GB/s, and the ratio of that rate to a calibration loop's.
 */
import { createWasmKernels, supportedBuilds, type WasmKernels } from "@secateur/backends-wasm";
import { createRng, type Dtype, type Mat, matrix } from "@secateur/core";
import { calibrate } from "./calibrate.ts";

interface Case {
  readonly name: string;
  /** Floating-point operations, or bytes that must be read, of one run. */
  readonly flops?: number;
  readonly bytes?: number;
  readonly repeats: number;
  /** Makes operands and returns the run to be timed, with what comes before each one outside the clock. */
  prepare(kernels: WasmKernels): { readonly reset?: () => void; readonly run: () => void };
}

function random(kernels: WasmKernels, rows: number, cols: number, dtype: Dtype = "f32"): Mat {
  const data = kernels.alloc(rows * cols, dtype);
  const rng = createRng(1);
  for (let i = 0; i < data.length; i++) data[i] = rng.next() - 0.5;
  return matrix(rows, cols, data);
}

function zeros(kernels: WasmKernels, rows: number, cols: number, dtype: Dtype = "f32"): Mat {
  return matrix(rows, cols, kernels.alloc(rows * cols, dtype));
}

function gemm(m: number, k: number, n: number, repeats: number, dtype: Dtype = "f32"): Case {
  return {
    name: `gemm ${m}x${k}x${n} ${dtype}`,
    flops: 2 * m * n * k,
    repeats,
    prepare: (kernels) => {
      const [a, b, out] = [random(kernels, m, k, dtype), random(kernels, k, n, dtype), zeros(kernels, m, n, dtype)];
      return { run: () => kernels.gemm({ a, b, out }) };
    },
  };
}

function gram(n: number, k: number): Case {
  return {
    name: `gram ${n}x${k} f32`,
    flops: n * n * k,
    repeats: 3,
    prepare: (kernels) => {
      const [a, out] = [random(kernels, n, k), zeros(kernels, n, n)];
      return { run: () => kernels.gram({ a, out }) };
    },
  };
}

function gemv(rows: number, cols: number, transpose: boolean): Case {
  return {
    name: `gemv ${transpose ? "transposed " : ""}${rows}x${cols} f32`,
    bytes: rows * cols * 4,
    repeats: 10,
    prepare: (kernels) => {
      const a = random(kernels, rows, cols);
      const x = random(kernels, 1, transpose ? rows : cols).data;
      const out = kernels.alloc(transpose ? cols : rows, "f32");
      return { run: () => kernels.gemv({ a, transpose, x, out }) };
    },
  };
}

function largest(length: number, repeats: number): Case {
  return {
    name: `largest ${length / 1e6} M, a tenth, f32`,
    bytes: length * 4,
    repeats,
    prepare: (kernels) => {
      const scores = random(kernels, 1, length).data;
      for (let i = 0; i < length; i++) scores[i] = Math.abs(scores[i] as number);
      return { run: () => void kernels.largest(scores, length / 10) };
    },
  };
}

function cholesky(n: number, dtype: Dtype): Case {
  return {
    name: `cholesky ${n} ${dtype}`,
    flops: n ** 3 / 3,
    repeats: 5,
    prepare: (kernels) => {
      const spd = zeros(kernels, n, n, dtype);
      kernels.gram({ a: random(kernels, n, n, dtype), out: spd });
      for (let i = 0; i < n; i++) spd.data[i * n + i] = (spd.data[i * n + i] as number) + 1;
      const a = zeros(kernels, n, n, dtype);
      return {
        reset: () => a.data.set(spd.data),
        run: () => {
          if (kernels.cholesky(a) !== -1) throw new Error("the matrix is positive definite");
        },
      };
    },
  };
}

function triangularSolve(n: number, m: number, transpose: boolean): Case {
  return {
    name: `triangularSolve ${transpose ? "L' " : ""}${n}, ${m} sides, f64`,
    flops: n * n * m,
    repeats: 5,
    prepare: (kernels) => {
      const [l, b] = [random(kernels, n, n, "f64"), random(kernels, n, m, "f64")];
      for (let i = 0; i < n; i++) l.data[i * n + i] = n;
      return { run: () => kernels.triangularSolve({ l, b, transpose }) };
    },
  };
}

const cases: readonly Case[] = [
  gemm(1000, 784, 40, 30),
  gemm(1024, 1024, 1024, 4),
  gemm(1024, 1024, 1024, 3, "f64"),
  gemm(25600, 288, 64, 4),
  gemm(102400, 144, 16, 5),
  gram(1000, 8000),
  gemv(1000, 31360, false),
  gemv(1000, 31360, true),
  largest(1e6, 10),
  largest(25e6, 3),
  cholesky(1024, "f64"),
  cholesky(1024, "f32"),
  triangularSolve(1000, 1, false),
  triangularSolve(1000, 1, true),
  triangularSolve(1000, 256, false),
];

const wanted = process.argv.slice(2);
const chosen = cases.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
const print = (...columns: readonly string[]): void => {
  process.stdout.write(
    `${columns.map((column, i) => (i < 2 ? column.padEnd(42 - 20 * i) : column.padStart(11))).join("")}\n`,
  );
};
print("case", "build, threads", "ms", "rate", "", "ratio");
for (const entry of chosen) {
  for (const build of supportedBuilds()) {
    for (const threads of [1, 2]) {
      const kernels = await createWasmKernels({ build, threads });
      measure(entry, kernels);
      await kernels.close();
    }
  }
}

function measure(entry: Case, kernels: WasmKernels): void {
  const { reset, run } = entry.prepare(kernels);
  const isArithmetic = entry.flops !== undefined;
  const work = entry.flops ?? entry.bytes ?? 0;
  let best = Number.POSITIVE_INFINITY;
  let loop = 0;
  // The first rounds also let the engine's optimising compiler finish.
  for (let round = 0; round < entry.repeats + 3; round++) {
    const speed = calibrate();
    loop = Math.max(loop, isArithmetic ? speed.gflops : speed.gigabytes);
    reset?.();
    const started = performance.now();
    run();
    best = Math.min(best, performance.now() - started);
  }
  const rate = work / best / 1e6;
  const unit = isArithmetic ? "GFLOPS" : "GB/s";
  print(
    entry.name,
    `${kernels.name.slice(5)}, ${kernels.threads}`,
    best.toFixed(2),
    rate.toFixed(1),
    unit,
    (rate / loop).toFixed(2),
  );
}
