/**
 * What the kernels run on: the memory, fixed workspace in it, and a way to run an export on one thread or on all.
 *
 * Workspace is laid out once, so that a call can never fail for want of it and sizes of tiles do not depend on what else is
 * in memory. Address space that is not touched costs nothing.
 */
import { aligned } from "./memory/heap.ts";
import { KeptWeights } from "./memory/kept-weights.ts";
import type { WasmMemory } from "./memory/wasm-memory.ts";
import { ThreadPool, type UnitKernel } from "./threads/thread-pool.ts";

/** A fixed region of working memory. */
export interface Slab {
  readonly address: number;
  readonly bytes: number;
}

/** Working memory by use. */
export interface Slabs {
  /** Packed right-hand operands. */
  readonly packed: Slab;
  /** Copies of operands that live elsewhere. */
  readonly a: Slab;
  readonly b: Slab;
  readonly out: Slab;
  /** Sums in f64, counters. */
  readonly sums: Slab;
}

/** The running backend. */
export interface Engine {
  readonly memory: WasmMemory;
  readonly slabs: Slabs;
  readonly kept: KeptWeights;
  readonly threads: number;
  /** Scratch addresses, one a thread. */
  readonly scratch: readonly number[];
  /** From one thread's scratch to the next. */
  readonly scratchBytes: number;
  /**
   * Runs all units of an export. `costNs` is what one thread would take, roughly: below the cost of waking the others the calling
   * thread works alone. Results do not depend on it.
   */
  run(kernel: string, units: number, costNs: number, ...values: number[]): void;
  /** Calls an export that is not cut into units. */
  call(kernel: string, ...values: number[]): number;
  close(): Promise<void>;
}

/** Scratch of one thread: a transposed block of f64 (gemm.ts), four histograms (select.ts), exponentials (softmax.ts). */
const SCRATCH_BYTES = 272 * 1024;
const SLAB_BYTES = 4 * 1024 * 1024;
/** Waking the other threads costs some ten microseconds; work below this is done alone. */
const ALONE_BELOW_NS = 40_000;

/** Lays out the workspace and starts the threads. */
export async function startEngine(module: WebAssembly.Module, memory: WasmMemory, threads: number): Promise<Engine> {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory: memory.memory } });
  const functions = exports as Record<string, (...values: number[]) => number>;
  const dataEnd = (functions["dataEnd"] as () => number)();

  const scratchStart = aligned(dataEnd);
  const scratch = Array.from({ length: threads }, (_, thread) => scratchStart + thread * SCRATCH_BYTES);
  const slabStart = scratchStart + threads * SCRATCH_BYTES;
  // A small memory gives half of what is left to the workspace and half to the vectors.
  const slabBytes = Math.min(SLAB_BYTES, Math.max(MIN_SLAB_BYTES, aligned((memory.maxBytes - slabStart) / 10)));
  const slab = (place: number): Slab => ({ address: slabStart + place * slabBytes, bytes: slabBytes });
  const slabs: Slabs = { packed: slab(0), a: slab(1), b: slab(2), out: slab(3), sums: slab(4) };
  memory.startHeap(slabStart + 5 * slabBytes);

  const kernels = new Map(
    Object.entries(functions).filter(([name]) => !name.startsWith("factorBlock") && name !== "dataEnd"),
  ) as unknown as ReadonlyMap<string, UnitKernel>;
  const pool = threads > 1 ? await ThreadPool.start({ module, memory: memory.memory, kernels, scratch }) : undefined;

  return {
    memory,
    slabs,
    kept: new KeptWeights(memory),
    threads,
    scratch,
    scratchBytes: SCRATCH_BYTES,
    run: (name, units, costNs, ...values) => {
      if (units <= 0) return;
      const kernel = kernels.get(name) as UnitKernel;
      if (pool === undefined || units === 1 || costNs < ALONE_BELOW_NS) kernel(0, units, scratchStart, ...values);
      else pool.dispatch(name, kernel, units, values);
    },
    call: (name, ...values) => (functions[name] as (...values: number[]) => number)(...values),
    close: async () => pool?.close(),
  };
}

const MIN_SLAB_BYTES = 64 * 1024;
