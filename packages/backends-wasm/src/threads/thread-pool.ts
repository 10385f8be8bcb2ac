/** Worker threads that help the calling thread through the units of a kernel; a dispatch is synchronous. */

import { threadFailed } from "../errors.ts";
import * as words from "./control-words.ts";
import { type StartedWorker, startWorker } from "./start-worker.ts";
import { workerSource } from "./worker-source.ts";

/** A wasm export that works on units [begin, end) of its output. */
export type UnitKernel = (begin: number, end: number, scratch: number, ...values: number[]) => void;

/** What a pool needs to start. */
export interface ThreadPoolSetup {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Names of the exports that may be dispatched, and the calling thread's instances of them. */
  readonly kernels: ReadonlyMap<string, UnitKernel>;
  /** Address of each thread's scratch; the first is the calling thread's. */
  readonly scratch: readonly number[];
}

/** How often the caller looks whether the others are done before it sleeps. */
const SPINS = 20_000;
/** Shares a thread of what is left: more even out unequal units and busy cores, fewer cost less. */
const SHARES_PER_THREAD = 2;

export class ThreadPool {
  readonly #control: Int32Array;
  readonly #arguments: Float64Array;
  readonly #canSleep: boolean;
  readonly #scratch: number;
  readonly #threads: number;
  readonly #workers: readonly StartedWorker[];
  readonly #places: ReadonlyMap<string, number>;

  private constructor(setup: ThreadPoolSetup, workers: readonly StartedWorker[]) {
    const { buffer } = setup.memory;
    this.#control = new Int32Array(buffer, 0, words.WORD_COUNT);
    this.#arguments = new Float64Array(buffer, words.ARGUMENTS_ADDRESS, words.MAX_ARGUMENTS);
    this.#canSleep = canSleep(this.#control);
    this.#scratch = setup.scratch[0] as number;
    this.#threads = setup.scratch.length;
    this.#workers = workers;
    this.#places = new Map([...setup.kernels.keys()].map((name, place) => [name, place]));
  }

  /** Starts one worker for every scratch but the first, and waits until they stand ready. */
  static async start(setup: ThreadPoolSetup): Promise<ThreadPool> {
    const workers = setup.scratch.slice(1).map(() => startWorker(workerSource));
    const { module, memory } = setup;
    const kernelNames = [...setup.kernels.keys()];
    try {
      await Promise.all(
        workers.map((worker, i) => worker.begin({ module, memory, kernelNames, scratch: setup.scratch[i + 1] })),
      );
    } catch (error) {
      await Promise.all(workers.map((worker) => worker.end()));
      throw error;
    }
    return new ThreadPool(setup, workers);
  }

  /** Runs all units of a kernel on all threads and returns when every unit is done. */
  dispatch(name: string, kernel: UnitKernel, units: number, values: readonly number[]): void {
    const control = this.#control;
    const shares = this.#threads * SHARES_PER_THREAD;
    control[words.KERNEL] = this.#places.get(name) as number;
    control[words.UNITS] = units;
    control[words.SHARES] = shares;
    control[words.ARGUMENT_COUNT] = values.length;
    this.#arguments.set(values);
    control[words.FAILED] = 0;
    Atomics.store(control, words.NEXT, 0);
    Atomics.store(control, words.OPEN, 1);
    Atomics.add(control, words.GENERATION, 1);
    Atomics.notify(control, words.GENERATION);
    try {
      for (;;) {
        const begin = Atomics.load(control, words.NEXT);
        if (begin >= units) break;
        const end = begin + Math.ceil((units - begin) / shares);
        if (Atomics.compareExchange(control, words.NEXT, begin, end) !== begin) continue;
        kernel(begin, end, this.#scratch, ...values);
      }
    } finally {
      Atomics.store(control, words.OPEN, 0);
      this.#awaitWorkers();
    }
    if (Atomics.load(control, words.FAILED) === 1) throw threadFailed(`kernel '${name}' failed on a worker thread`);
  }

  /** Ends the workers. */
  async close(): Promise<void> {
    Atomics.store(this.#control, words.STOP, 1);
    Atomics.add(this.#control, words.GENERATION, 1);
    Atomics.notify(this.#control, words.GENERATION);
    await Promise.all(this.#workers.map((worker) => worker.end()));
  }

  #awaitWorkers(): void {
    for (let spin = 0; ; spin++) {
      const active = Atomics.load(this.#control, words.ACTIVE);
      if (active === 0) return;
      if (this.#canSleep && spin > SPINS) Atomics.wait(this.#control, words.ACTIVE, active);
    }
  }
}

// The main thread of a browser may not sleep; there Atomics.wait throws, even where it would return at once.
function canSleep(control: Int32Array): boolean {
  try {
    Atomics.wait(control, words.STOP, 1, 0);
    return true;
  } catch {
    return false;
  }
}
