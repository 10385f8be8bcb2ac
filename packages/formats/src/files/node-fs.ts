import { needsNode } from "../errors.ts";

/** Node's fs module, reached without an import so that a browser bundle of this package does not break. */
export function nodeFs(what: string): typeof import("node:fs") {
  return builtin("node:fs", what);
}

/** Node's path module, likewise. */
export function nodePath(what: string): typeof import("node:path") {
  return builtin("node:path", what);
}

/** Node's zlib module, likewise. */
export function nodeZlib(what: string): typeof import("node:zlib") {
  return builtin("node:zlib", what);
}

interface Builtins {
  "node:fs": typeof import("node:fs");
  "node:path": typeof import("node:path");
  "node:zlib": typeof import("node:zlib");
}

function builtin<Name extends keyof Builtins>(name: Name, what: string): Builtins[Name] {
  const module = (globalThis as { process?: NodeJS.Process }).process?.getBuiltinModule?.(name);
  if (module === undefined) throw needsNode(what);
  return module as Builtins[Name];
}

/** The code of a failed system call, such as "ENOENT". */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
