/** Every error of this package, one factory each. Codes are stable; messages may improve. */
import { PruneError } from "./prune-error.ts";

/** Text of a file for a message: escaped, and cut at 60 characters. */
export function quoted(text: string): string {
  const escaped = JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text).slice(1, -1);
  return `'${escaped.replaceAll("'", "\\'")}'`;
}

/** Bytes that are no packed network. */
export function notPacked(found: string): PruneError {
  return new PruneError(
    "ERR_PACKED_MAGIC",
    `this is no packed network: ${found}; a .secateur file begins with the bytes 89 53 45 43 0d 0a 1a 0a; make one with 'secateur pack MODEL --out net.secateur'`,
    { details: { found } },
  );
}

/** A file of a version that this runtime does not know. */
export function packedVersion(found: number, known: number): PruneError {
  return new PruneError(
    "ERR_PACKED_VERSION",
    `this packed network is of version ${found}, and this runtime reads version ${known}; update @secateur/runtime, or pack the model again`,
    { details: { found, known } },
  );
}

/** A file whose parts contradict each other. `where`: the part. */
export function packedDamaged(where: string, problem: string, cause?: unknown): PruneError {
  return new PruneError(
    "ERR_PACKED_DAMAGED",
    `packed network, ${where}: ${problem}; the file is damaged or incomplete: fetch it again or pack the model again`,
    { cause, details: { where, problem } },
  );
}

/** A file whose graph cannot be run: it does not fit its tensors, or has an operator that this runtime lacks. @param remedy - default: to pack it again */
export function packedGraph(where: string, problem: string, remedy: string = repacked): PruneError {
  return new PruneError("ERR_PACKED_GRAPH", `packed network, ${where}: ${problem}; ${remedy}`, {
    details: { where, problem, remedy },
  });
}

const repacked = "pack the model again, and run it with a runtime of the packer's version";

/** A model that cannot be packed. @param remedy - what would make it one that can; default: to leave it as it is */
export function notPackable(where: string, problem: string, remedy: string = unpacked): PruneError {
  return new PruneError("ERR_PACKED_GRAPH", `packing, ${where}: ${problem}; ${remedy}`, {
    details: { where, problem, remedy },
  });
}

const unpacked = "keep the model as it is, and run it with what made it";

/** More memory than is allowed. */
export function packedMemory(what: string, bytes: number, limit: number): PruneError {
  return new PruneError(
    "ERR_PACKED_MEMORY",
    `packed network: ${what} takes ${bytes} bytes, and ${limit} are allowed; load with a larger maxMemoryBytes or a smaller batch`,
    { details: { what, bytes, limit } },
  );
}

/** The engine gives no memory of this size. */
export function noMemory(bytes: number, cause: unknown): PruneError {
  return new PruneError(
    "ERR_RUNTIME_MEMORY",
    `the engine gives no WebAssembly memory of ${bytes} bytes; close other sessions, load with a smaller batch or pack a smaller network`,
    { fault: "runtime", cause, details: { bytes } },
  );
}

/** An engine without SIMD. */
export function noSimd(): PruneError {
  return new PruneError(
    "ERR_RUNTIME_SIMD",
    "this engine has no WebAssembly SIMD; needed are Chrome or Edge 91, Firefox 89, Safari 16.4, Node 20.19 or later",
    { fault: "runtime" },
  );
}

/** An address that gave no packed network. */
export function notFetched(url: string, problem: string, cause?: unknown): PruneError {
  return new PruneError(
    "ERR_PACKED_FETCH",
    `fetching ${quoted(url)}: ${problem}; check the address and what the server sends for it`,
    { fault: "runtime", ...(cause === undefined ? {} : { cause }), details: { url, problem } },
  );
}

/** A path that gave no file. */
export function notRead(path: string, code: string, cause: unknown): PruneError {
  return new PruneError(
    "ERR_PACKED_FETCH",
    `reading ${quoted(path)}: ${code}; check the path, and that the file may be read`,
    {
      fault: "runtime",
      cause,
      details: { path, code },
    },
  );
}

/** An argument of `load` or `run` that does not fit. */
export function badArgument(where: string, found: string, allowed: string): PruneError {
  return new PruneError("ERR_RUNTIME_ARGUMENT", `${where}: found ${found}, allowed is ${allowed}`, {
    details: { where, found, allowed },
  });
}

/** A session used after `close`. */
export function sessionClosed(): PruneError {
  return new PruneError("ERR_RUNTIME_CLOSED", "this session is closed; load the network again");
}

/** A thread that failed. */
export function threadFailed(cause?: unknown): PruneError {
  return new PruneError(
    "ERR_RUNTIME_THREAD",
    "a worker thread of the session failed; load again, with { threads: 1 }",
    {
      fault: "runtime",
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
