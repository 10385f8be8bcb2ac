/** Starts one worker thread from source text, in Node and in browsers, behind one small interface. */
import { threadFailed } from "../errors.ts";

/** A started worker that waits for its first message. */
export interface StartedWorker {
  /** Sends `message` and resolves when the worker answers. Afterwards the worker does not keep the process alive. */
  begin(message: unknown): Promise<void>;
  /** Ends the thread. */
  end(): Promise<void>;
}

/** Whether this engine can start workers that share memory. */
export function canStartWorkers(): boolean {
  if (nodeWorkerThreads() !== undefined) return true;
  return typeof Worker === "function" && (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true;
}

/** How many threads run at once on this machine, at least 1. */
export function availableCores(): number {
  const os = nodeProcess()?.getBuiltinModule("node:os");
  if (os !== undefined) return Math.max(1, os.availableParallelism());
  return (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ?? 1;
}

/** Starts a worker that runs `source`. */
export function startWorker(source: string): StartedWorker {
  const threads = nodeWorkerThreads();
  return threads === undefined ? startWebWorker(source) : startNodeWorker(threads, source);
}

function startNodeWorker(threads: typeof import("node:worker_threads"), source: string): StartedWorker {
  // execArgv: flags of the parent, a test runner's say, are not for this worker.
  const worker = new threads.Worker(source, { eval: true, execArgv: [], name: "secateur-kernels" });
  return {
    begin: (message) =>
      new Promise<void>((resolve, reject) => {
        worker.once("error", (cause) => reject(threadFailed("a worker thread failed", cause)));
        worker.once("message", () => {
          worker.unref();
          resolve();
        });
        worker.postMessage(message);
      }),
    end: async () => {
      await worker.terminate();
    },
  };
}

function startWebWorker(source: string): StartedWorker {
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(address);
  return {
    begin: (message) =>
      new Promise<void>((resolve, reject) => {
        worker.onerror = (event) => reject(threadFailed("a worker thread failed", event));
        worker.onmessage = () => {
          URL.revokeObjectURL(address);
          resolve();
        };
        worker.postMessage(message);
      }),
    end: async () => worker.terminate(),
  };
}

function nodeWorkerThreads(): typeof import("node:worker_threads") | undefined {
  return nodeProcess()?.getBuiltinModule("node:worker_threads");
}

// Asked for at run time: an import of node: modules would break browser bundles.
function nodeProcess(): NodeJS.Process | undefined {
  const { process } = globalThis as { process?: NodeJS.Process };
  return typeof process?.getBuiltinModule === "function" && process.versions?.node !== undefined ? process : undefined;
}
