/**
 * A stand-in for a cross-origin isolated page: no Node globals, and a `Worker` that runs its program in a real thread where no Node
 * globals are either, with the browser's `postMessage`, `onmessage` and `close`.
 */
import { resolveObjectURL } from "node:buffer";
import { Worker as NodeWorker } from "node:worker_threads";
import { vi } from "vitest";

/** Threads started so far by the stand-in, and how many of them ended. */
export interface PageThreads {
  readonly started: () => number;
  readonly ended: () => number;
}

/** Replaces the globals until `vi.unstubAllGlobals()`. */
export function pretendToBeAPage(cores: number): PageThreads {
  let started = 0;
  let ended = 0;
  class PageWorker {
    onmessage: ((event: { data: unknown }) => void) | null = null;
    onerror: ((event: unknown) => void) | null = null;
    readonly #thread: Promise<NodeWorker>;

    constructor(address: string) {
      started++;
      this.#thread = this.#start(address);
    }

    async #start(address: string): Promise<NodeWorker> {
      const blob = resolveObjectURL(address);
      if (blob === undefined) throw new Error(`there is no blob at ${address}`);
      const thread = new NodeWorker(`${pageGlobals}\n${await blob.text()}`, { eval: true, execArgv: [] });
      thread.on("message", (data) => this.onmessage?.({ data }));
      thread.on("error", (error) => this.onerror?.(error));
      thread.on("exit", () => ended++);
      return thread;
    }

    postMessage(data: unknown): void {
      void this.#thread.then((thread) => thread.postMessage(data));
    }

    terminate(): void {
      void this.#thread.then((thread) => thread.terminate());
    }
  }
  vi.stubGlobal("process", undefined);
  vi.stubGlobal("navigator", { hardwareConcurrency: cores });
  vi.stubGlobal("crossOriginIsolated", true);
  vi.stubGlobal("Worker", PageWorker);
  return { started: () => started, ended: () => ended };
}

const pageGlobals = `
const { parentPort } = require("node:worker_threads");
globalThis.postMessage = (data) => parentPort.postMessage(data);
globalThis.close = process.exit.bind(process);
parentPort.on("message", (data) => globalThis.onmessage({ data }));
globalThis.process = undefined;
`;
