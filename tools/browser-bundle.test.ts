import { isBuiltin } from "node:module";
import { createContext, runInContext } from "node:vm";
import { build, type Plugin } from "vite";
import { describe, expect, test } from "vitest";
import { entryPoints, loadsInBrowsers, sourceAliases } from "./entry-points.ts";

const browserLibraries = [
  "core",
  "backends-wasm",
  "runtime",
  "backends-tfjs",
  "nn",
  "fisher",
  "solvers-magnitude",
  "sparse-training",
  "solvers-chita",
  "solvers-obs-cbs",
  "solvers-structured",
  "solvers-layerwise",
  "conformance",
  "imp-scheduler",
  "run",
  "report",
];

describe("in a browser's bundle", () => {
  for (const { folder, specifier, file } of entryPoints().filter(loadsInBrowsers)) {
    if (!browserLibraries.includes(folder)) continue;
    test(`${specifier} loads, without Node's modules and globals`, async () => {
      const exported = load(await bundle(file));
      expect(Object.keys(exported)).not.toEqual([]);
    });
  }

  test("an import of Node's modules is noticed", async () => {
    await expect(
      bundle("/entry.ts", 'import { readFileSync } from "node:fs"; export { readFileSync };'),
    ).rejects.toThrow(/imports node:fs/);
  });

  test("a use of Node's globals while loading is noticed", async () => {
    const code = await bundle("/entry.ts", "export const version = process.version;");
    expect(() => load(code)).toThrow(/process is not defined/);
  });
});

/** One classic script that leaves the exports in the global `bundle`. `source` stands in for an entry that is not on disk. */
async function bundle(entry: string, source?: string): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "silent",
    resolve: { alias: sourceAliases() },
    plugins: [refuseBuiltins, ...(source === undefined ? [] : [virtualEntry(entry, source)])],
    // As every bundler of pages does.
    define: { "process.env.NODE_ENV": '"production"' },
    build: { write: false, minify: false, lib: { entry, formats: ["iife"], name: "bundle" } },
  });
  const [output] = Array.isArray(result) ? result : [];
  const [chunk] = output?.output ?? [];
  if (chunk?.type !== "chunk") throw new Error(`vite made no script of ${entry}`);
  return chunk.code;
}

const refuseBuiltins: Plugin = {
  name: "refuse-builtins",
  enforce: "pre",
  resolveId(id, importer) {
    if (isBuiltin(id)) throw new Error(`${importer} imports ${id}`);
    return undefined;
  },
};

function virtualEntry(entry: string, source: string): Plugin {
  return {
    name: "virtual-entry",
    enforce: "pre",
    resolveId: (id) => (id === entry ? entry : undefined),
    load: (id) => (id === entry ? source : undefined),
  };
}

/** Runs the script with what a browser has, as far as libraries may want it while they load. */
function load(code: string): object {
  const context = createContext({
    TextEncoder,
    TextDecoder,
    URL,
    AbortController,
    AbortSignal,
    atob,
    btoa,
    performance,
  });
  return runInContext(`${code}; bundle`, context) as object;
}
