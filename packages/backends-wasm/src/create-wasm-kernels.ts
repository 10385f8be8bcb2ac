/** Makes the kernels of core's `Kernels` interface on WebAssembly. */
import type { Kernels } from "@secateur/core";
import { compileBuild, type WasmBuild } from "./builds.ts";
import { convolutionGradients, convolve, convolveBack } from "./convolution/convolution.ts";
import { sparseConvolve, sparseConvolveBack, sparseGradients } from "./convolution/sparse.ts";
import { windowGram } from "./convolution/window-gram.ts";
import { gatherWindows, maxWindows, scatterWindows, transposeBlocks } from "./convolution/windows.ts";
import { type Engine, startEngine } from "./engine.ts";
import { badOption, kernelsClosed } from "./errors.ts";
import { WasmMemory } from "./memory/wasm-memory.ts";
import { chainGram, chainSquares, chainTimes, chainTransposeTimes } from "./products/chain.ts";
import { cholesky } from "./products/cholesky.ts";
import { dot } from "./products/dot.ts";
import { gemm, gemmEach, gram } from "./products/gemm.ts";
import { panelProducts, sparseTimes } from "./products/sparse.ts";
import { triangularSolve } from "./products/triangular-solve.ts";
import { columnDots, columnSums } from "./rows/column-sums.ts";
import { axpy, momentumStep, multiply, relu, reluBackward } from "./rows/elementwise.ts";
import { elementwise, softmax } from "./rows/elementwise-program.ts";
import { largest } from "./rows/largest.ts";
import { gemv, rowDots } from "./rows/row-sums.ts";
import { addRow, affineColumns, gatherColumns, scaleRows } from "./rows/rows.ts";
import { softmaxCrossEntropy } from "./rows/softmax.ts";
import { availableCores, canStartWorkers } from "./threads/start-worker.ts";

/** How the kernels run. None of it changes results, except `build` (by rounding). */
export interface WasmKernelOptions {
  /** Threads that share coarse calls, 1 to 64; default: the cores of the machine, at most 8; 1 where threads cannot share memory. */
  readonly threads?: number;
  /** Default: "relaxed-simd" where the engine has it (Node >= 22), else "simd". */
  readonly build?: WasmBuild;
  /** The most the memory may grow to, 2 MiB to 4 GiB (the default). Larger problems are worked through it in tiles. */
  readonly maxMemoryBytes?: number;
}

/** Kernels that own threads and a memory. */
export interface WasmKernels extends Kernels {
  /** Bytes of the WebAssembly memory that vectors of `alloc` hold. */
  readonly usedBytes: () => number;
  /** Ends the threads. Vectors stay readable; any further kernel throws ERR_KERNELS_CLOSED. */
  close(): Promise<void>;
}

const MAX_THREADS = 64;
const DEFAULT_THREADS = 8;
const MIN_MEMORY_BYTES = 2 * 1024 * 1024;
const MAX_MEMORY_BYTES = 65536 * 65536;

/**
 * Starts the WebAssembly kernels: compiles a build, makes the shared memory and the worker threads (about 50 ms with threads).
 *
 * Call `close()` when done, so that the threads end; they do not keep a Node process alive.
 *
 * @param options - threads, build and the limit of the memory; see WasmKernelOptions
 * @throws PruneError ERR_WASM_OPTION, ERR_WASM_BUILD, or ERR_WASM_THREAD when a worker does not start
 *
 * @example
 * const kernels = await createWasmKernels({ threads: 2 });
 * const x = kernels.alloc(3, "f32");
 * x.set([3, 1, 2]);
 * kernels.largest(x, 2); // [0, 2]
 * await kernels.close();
 */
export async function createWasmKernels(options: WasmKernelOptions = {}): Promise<WasmKernels> {
  const threads = threadCount(options.threads);
  const maxMemoryBytes = memoryLimit(options.maxMemoryBytes);
  const { build, module } = await compileBuild(buildName(options.build));
  const engine = await startEngine(module, new WasmMemory(maxMemoryBytes), threads);
  return kernelsOn(engine, `wasm-${build}`);
}

function kernelsOn(engine: Engine, name: string): WasmKernels {
  let isClosed = false;
  const open = (): Engine => {
    if (isClosed) throw kernelsClosed();
    return engine;
  };
  return {
    name,
    threads: engine.threads,
    usedBytes: () => engine.memory.usedBytes,
    alloc: (length, dtype) => open().memory.alloc(length, dtype),
    holds: (vector) => engine.memory.addressOf(vector) !== undefined,
    free: (vector) => engine.memory.free(vector),
    gemm: (spec) => gemm(open(), spec),
    gemmEach: (spec) => gemmEach(open(), spec),
    gram: (spec) => gram(open(), spec),
    gemv: (spec) => gemv(open(), spec),
    cholesky: (a) => cholesky(open(), a),
    triangularSolve: (spec) => triangularSolve(open(), spec),
    dot: (a, b) => dot(open(), a, b),
    axpy: (alpha, x, y) => axpy(open(), alpha, x, y),
    momentumStep: (spec) => momentumStep(open(), spec),
    multiply: (a, b, out) => multiply(open(), a, b, out),
    scaleRows: (a, scales, out) => scaleRows(open(), { a, scales, out }),
    rowDots: (a, b, out, beta) => rowDots(open(), { a, b, out, beta }),
    columnSums: (a, out) => columnSums(open(), a, out),
    addRow: (a, row) => addRow(open(), a, row),
    columnDots: (a, b, out) => columnDots(open(), { a, b, out }),
    affineColumns: (spec) => affineColumns(open(), spec),
    transposeBlocks: (a, shape, out) => transposeBlocks(open(), { a, shape, out }),
    gatherWindows: (spec) => gatherWindows(open(), spec),
    scatterWindows: (spec) => scatterWindows(open(), spec),
    convolve: (spec) => convolve(open(), spec),
    convolveBack: (spec) => convolveBack(open(), spec),
    convolutionGradients: (spec) => convolutionGradients(open(), spec),
    maxWindows: (spec) => maxWindows(open(), spec),
    windowGram: (spec) => windowGram(open(), spec),
    gatherColumns: (a, columns, out) => gatherColumns(open(), { a, columns, out }),
    sparseTimes: (spec) => sparseTimes(open(), spec),
    panelProducts: (spec) => panelProducts(open(), spec),
    chainTimes: (spec) => chainTimes(open(), spec),
    chainTransposeTimes: (spec) => chainTransposeTimes(open(), spec),
    chainGram: (spec) => chainGram(open(), spec),
    chainSquares: (spec) => chainSquares(open(), spec),
    sparseConvolve: (spec) => sparseConvolve(open(), spec),
    sparseConvolveBack: (spec) => sparseConvolveBack(open(), spec),
    sparseGradients: (spec) => sparseGradients(open(), spec),
    elementwise: (spec) => elementwise(open(), spec),
    softmax: (spec) => softmax(open(), spec),
    largest: (scores, k) => largest(open(), scores, k),
    relu: (x, out) => relu(open(), x, out),
    reluBackward: (activation, gradient, out) => reluBackward(open(), activation, gradient, out),
    softmaxCrossEntropy: (spec) => softmaxCrossEntropy(open(), spec),
    close: async () => {
      if (isClosed) return;
      isClosed = true;
      await engine.close();
    },
  };
}

function buildName(wanted: WasmBuild | undefined): WasmBuild | undefined {
  if (wanted === undefined || wanted === "simd" || wanted === "relaxed-simd") return wanted;
  throw badOption("build", wanted, "'simd' or 'relaxed-simd'");
}

function threadCount(wanted: number | undefined): number {
  if (wanted === undefined) return canStartWorkers() ? Math.min(DEFAULT_THREADS, availableCores()) : 1;
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > MAX_THREADS) {
    throw badOption("threads", wanted, `an integer from 1 to ${MAX_THREADS}`);
  }
  return canStartWorkers() ? wanted : 1;
}

function memoryLimit(wanted: number = MAX_MEMORY_BYTES): number {
  if (!(wanted >= MIN_MEMORY_BYTES && wanted <= MAX_MEMORY_BYTES)) {
    throw badOption("maxMemoryBytes", wanted, `${MIN_MEMORY_BYTES} to ${MAX_MEMORY_BYTES}`);
  }
  return wanted;
}
