/** Worker threads that run a program together with the calling thread. */
import { threadFailed } from "../errors.ts";
import type { Plan } from "../plan/plan.ts";
import { type StartedWorker, startWorker } from "./start-worker.ts";
import { words, workerSource } from "./worker-source.ts";

/** What the wasm module exports. */
export interface KernelExports {
  run(program: number, first: number, last: number): void;
  runTogether(program: number, steps: number, cells: number, grains: number, maySleep: number, failed: number): void;
}

/** Several threads. */
export interface Team {
  readonly threads: number;
  /** Runs all steps; returns when they are done. @throws ERR_RUNTIME_THREAD */
  run(): void;
  close(): Promise<void>;
}

/** Starts `threads` - 1 workers. @throws ERR_RUNTIME_THREAD */
export async function startTeam(spec: {
  readonly threads: number;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly exports: KernelExports;
  readonly plan: Plan;
}): Promise<Team> {
  const { threads, module, memory, exports, plan } = spec;
  const { program, cells, grains } = plan;
  const steps = plan.steps.length;
  const failed = cells + 8 * steps;
  const control = new Int32Array(memory.buffer, 0, 16);
  const claims = new Int32Array(memory.buffer, cells, 2 * steps + 1);
  const maySleep = Number(canSleep(control));
  const workers: StartedWorker[] = [];
  try {
    for (let w = 1; w < threads; w++) workers.push(startWorker(workerSource));
    await Promise.all(workers.map((worker) => worker.begin({ module, memory, program, steps, cells, grains, failed })));
  } catch (cause) {
    await Promise.all(workers.map((worker) => worker.end()));
    throw cause;
  }
  const awaitWorkers = (): void => {
    for (;;) {
      const active = Atomics.load(control, words.ACTIVE);
      if (active === 0) return;
      if (maySleep) Atomics.wait(control, words.ACTIVE, active);
    }
  };
  return {
    threads,
    run() {
      claims.fill(0);
      Atomics.store(control, words.OPEN, 1);
      Atomics.add(control, words.GENERATION, 1);
      Atomics.notify(control, words.GENERATION);
      try {
        exports.runTogether(program, steps, cells, grains, maySleep, failed);
      } finally {
        Atomics.store(control, words.OPEN, 0);
        awaitWorkers();
      }
      if (Atomics.load(claims, 2 * steps) === 1) throw threadFailed();
    },
    async close() {
      Atomics.store(control, words.STOP, 1);
      Atomics.add(control, words.GENERATION, 1);
      Atomics.notify(control, words.GENERATION);
      await Promise.all(workers.map((worker) => worker.end()));
    },
  };
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
