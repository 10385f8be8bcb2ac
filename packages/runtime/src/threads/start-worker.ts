/** Starts one worker thread from source text, in Node and in browsers, behind one small interface. */
import { threadFailed } from "../errors.ts";

/** A started worker. */
export interface StartedWorker {
  /** Sends `message` and resolves when the worker answers. Afterwards the worker does not keep the process alive. */
  begin(message: unknown): Promise<void>;
  end(): Promise<void>;
}

/** Why threads cannot share memory here; undefined where they can. */
export function whyNoThreads(): string | undefined {
  if (nodeWorkerThreads() !== undefined) return undefined;
  if (typeof Worker !== "function") return "there are no workers here";
  const { crossOriginIsolated } = globalThis as { crossOriginIsolated?: boolean };
  return crossOriginIsolated === true ? undefined : "the page is not cross-origin isolated";
}

/** Starts a worker that runs `source`. */
export function startWorker(source: string): StartedWorker {
  const threads = nodeWorkerThreads();
  return threads === undefined ? startWebWorker(source) : startNodeWorker(threads, source);
}

function startNodeWorker(threads: typeof import("node:worker_threads"), source: string): StartedWorker {
  const worker = new threads.Worker(source, { eval: true, execArgv: [], name: "secateur-runtime" });
  return {
    begin: (message) =>
      new Promise<void>((resolve, reject) => {
        worker.once("error", (cause) => reject(threadFailed(cause)));
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
        worker.onerror = (event) => reject(threadFailed(event));
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
  // Asked for at run time: an import of node: modules would break browser bundles.
  const { process } = globalThis as { process?: NodeJS.Process };
  const isNode = typeof process?.getBuiltinModule === "function" && process.versions?.node !== undefined;
  return isNode ? process.getBuiltinModule("node:worker_threads") : undefined;
}
