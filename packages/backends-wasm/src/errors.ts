/** Every error this package raises, one factory each. Shapes that do not fit are core's RangeErrors. */
import { PruneError } from "@secateur/core";

/** The kernels were closed, so their threads are gone. */
export function kernelsClosed(): PruneError {
  return new PruneError(
    "ERR_KERNELS_CLOSED",
    "wasm kernels: used after close(); make new ones with createWasmKernels()",
    {
      fault: "runtime",
    },
  );
}

/** An option of createWasmKernels is out of range. */
export function badOption(option: string, found: unknown, allowed: string): PruneError {
  return new PruneError(
    "ERR_WASM_OPTION",
    `createWasmKernels: option '${option}' is ${String(found)}; use ${allowed}`,
    { details: { option, allowed } },
  );
}

/** The asked-for build does not validate on this engine. */
export function buildNotSupported(build: string): PruneError {
  return new PruneError(
    "ERR_WASM_BUILD",
    `createWasmKernels: this JavaScript engine cannot run the '${build}' build (relaxed SIMD needs Node 22, SIMD and threads Node 16.4, or a browser of their time); leave the option 'build' out to take the best that runs`,
    { fault: "runtime", details: { build } },
  );
}

/** One operation needs more working memory at a time than maxMemoryBytes leaves. */
export function memoryExhausted(bytes: number, maxMemoryBytes: number): PruneError {
  return new PruneError(
    "ERR_WASM_MEMORY",
    `wasm kernels: ${bytes} bytes of working memory are not free within the limit of ${maxMemoryBytes}; raise 'maxMemoryBytes' or free vectors`,
    { fault: "runtime", details: { bytes, maxMemoryBytes } },
  );
}

/** A worker thread did not start, or a kernel failed on one. */
export function threadFailed(what: string, cause?: unknown): PruneError {
  return new PruneError("ERR_WASM_THREAD", `wasm kernels: ${what}; create the kernels with threads: 1 to do without`, {
    fault: "runtime",
    cause,
    details: { what },
  });
}
