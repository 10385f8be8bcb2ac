import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { errorViolations } from "./error-rules.ts";
import { folderViolations } from "./folder-rules.ts";
import { importViolations } from "./import-rules.ts";
import { cycles, manifestViolations } from "./manifest-rules.ts";
import { type Manifest, readWorkspace, type WorkspacePackage } from "./workspace-package.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const workspace = readWorkspace(root);

/** How every package exports its root. */
const rootExport = { ".": { types: "./dist/index.d.ts", default: "./dist/index.js" } };

describe("the workspace", () => {
  test("has packages and sources to judge", () => {
    expect(workspace.map(({ folder }) => folder)).toContain("packages/core");
    expect(workspace.every(({ sources }) => sources.has("src/index.ts"))).toBe(true);
  });

  for (const pkg of workspace) {
    test(`keeps the imports of ${pkg.folder} inside its boundary`, () => {
      expect(importViolations(pkg)).toEqual([]);
    });

    test(`says what the errors of ${pkg.folder} say as data too`, () => {
      expect(errorViolations(pkg)).toEqual([]);
    });

    test(`keeps the folders of ${pkg.folder} small`, () => {
      expect(folderViolations(pkg)).toEqual([]);
    });

    test(`keeps the manifest of ${pkg.folder} in its conventions`, () => {
      expect(manifestViolations(pkg, workspace)).toEqual([]);
    });
  }

  test("has no packages that need each other", () => {
    expect(cycles(workspace)).toEqual([]);
  });

  test("compiles every package from the root", () => {
    const { references } = JSON.parse(readFileSync(`${root}/tsconfig.json`, "utf8")) as {
      references: { path: string }[];
    };
    expect(references.map(({ path }) => path)).toEqual(expect.arrayContaining(workspace.map(({ folder }) => folder)));
  });
});

test("the rule for folders counts source files of one folder, without tests and those of its subfolders", () => {
  const of = (count: number, name: (i: number) => string) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [name(i), ""]));
  const found = (sources: Record<string, string>) => folderViolations(library({ sources }));
  const full = of(15, (i) => `src/a/f${i}.ts`);
  const others = { ...of(9, (i) => `src/a/f${i}.test.ts`), "src/a/b/more.ts": "", "src/a/c.test-support.ts": "" };
  expect(found({ ...full, ...others })).toEqual([]);
  expect(found({ ...full, "src/a/last.ts": "" })).toEqual([expect.stringContaining("src/a has 16 source files")]);
});

describe("the rules for errors find", () => {
  const found = (text: string): string => errorViolations(library({ sources: { "src/a.ts": text } })).join("\n");

  test("an error without data, and none where there is nothing to say", () => {
    const factory = (parameters: string, rest: string): string =>
      `export function bad(${parameters}): PruneError {\n  return new PruneError("ERR_A", "b"${rest});\n}\n`;
    expect(found(factory("path: string", ""))).toContain("'bad' has no details");
    expect(found(factory("spec: { path: string }", ', { fault: "runtime" }'))).toContain("'bad' has no details");
    expect(found(factory("path: string", ", { details: { path } }"))).toBe("");
    expect(found(factory("cause: unknown", ", { cause }"))).toBe("");
    expect(found(factory("", ""))).toBe("");
  });

  test("code that reads a message", () => {
    expect(found("if (/no file/.test(error.message)) retry();")).toContain("reads a message");
    expect(found('if (error.message.includes("no file")) retry();')).toContain("reads a message");
  });
});

describe("the rules for imports find", () => {
  const planted: readonly (readonly [what: string, file: string, text: string, message: string])[] = [
    ["another library", "src/a.ts", 'import { nn } from "@secateur/nn";', "@secateur/core only"],
    ["another library's types", "src/a.ts", 'export type { Nn } from "@secateur/nn";', "@secateur/core only"],
    ["an import type", "src/a.ts", 'export const a: import("@secateur/nn").Nn = 1;', "@secateur/core only"],
    ["a dynamic import", "src/a.ts", 'await import("@secateur/nn");', "@secateur/core only"],
    ["a subpath of another library", "src/a.ts", 'import "@secateur/nn/deep";', "@secateur/core only"],
    ["an undeclared library", "src/a.ts", 'import "left-pad";', "neither in dependencies"],
    ["a library declared for development only", "src/a.ts", 'import "fast-check";', "neither in dependencies"],
    ["an import of itself by name", "src/a.ts", 'import "@secateur/fisher";', "relative path"],
    ["a relative import that leaves the package", "src/a.ts", 'import "../../nn/src/index.ts";', "leave its package"],
    ["an asset outside the package", "src/a.ts", 'new URL("../../nn/x.bin", import.meta.url);', "leave its package"],
    ["a test imported by shipped code", "src/a.ts", 'import "./b.test-support.ts";', "may not import tests"],
    ["an undeclared library in a test", "src/a.test.ts", 'import "left-pad";', "not in this package's"],
    ["a test that leaves the package", "src/a.test.ts", 'import "../../nn/src/x.ts";', "leave its package"],
    ["Node's modules where browsers load", "src/index.ts", 'import "node:fs";', "also loads in browsers"],
    ["random numbers", "src/a.ts", "export const a = Math.random();", "uses Math.random"],
    ["the clock", "src/a.ts", "export const a = Date.now();", "uses Date.now"],
    ["the clock by constructor", "src/a.ts", "export const a = new Date();", "uses new Date()"],
    ["the console", "src/a.ts", 'console.log("a");', "uses console.log"],
  ];
  for (const [what, file, text, message] of planted) {
    test(what, () => {
      expect(importViolations(library({ sources: { [file]: text } })).join("\n")).toContain(message);
    });
  }

  test("Node's modules behind an import", () => {
    const sources = { "src/index.ts": 'export * from "./a.ts";', "src/a.ts": 'import { x } from "node:fs";' };
    expect(importViolations(library({ sources })).join("\n")).toContain("src/a.ts imports 'node:fs'");
  });

  test("Node's modules behind a subpath, unless it is the one for Node", () => {
    const sources = { "src/index.ts": "", "src/deep.ts": 'import { x } from "node:fs";' };
    const subpath = { types: "./dist/deep.d.ts", default: "./dist/deep.js" };
    const deep = library({ sources, manifest: { exports: { ...rootExport, "./deep": subpath } } });
    expect(importViolations(deep).join("\n")).toContain("src/deep.ts imports 'node:fs'");
    const node = library({ sources, manifest: { exports: { ...rootExport, "./node": subpath } } });
    expect(importViolations(node)).toEqual([]);
  });

  test("other libraries in the assembly of runs, outside of what is for Node", () => {
    const text = 'import "@secateur/nn";';
    const run = (sources: Readonly<Record<string, string>>) =>
      importViolations(
        library({ sources, folder: "packages/run", manifest: { dependencies: { "@secateur/nn": "workspace:*" } } }),
      ).join("\n");
    expect(run({ "src/index.ts": text })).toContain("@secateur/core only");
    expect(run({ "src/node/index.ts": text })).toBe("");
    expect(run({ "src/index.ts": 'import "./node/a.ts";', "src/node/a.ts": "" })).toContain("not the other way round");
  });

  test("nothing in what is allowed", () => {
    const sources = {
      "src/index.ts": 'export { a } from "./a.ts";\nimport type { Stats } from "node:fs";',
      "src/a.ts":
        'import { z } from "zod";\nimport type { Matrix } from "@secateur/core";\nexport const a = Math.abs(-1);',
      "src/worker.ts": 'import { parentPort } from "node:worker_threads";',
      "src/a.test.ts":
        'import "vitest";\nimport "fast-check";\nimport "node:fs";\nimport "./b.test-support.ts";\nMath.random();\nnew URL("../../../README.md", import.meta.url);',
      "bench/a.bench.ts": 'import "@secateur/fisher";\nimport "../src/a.ts";\nconsole.log(Date.now());',
    };
    expect(importViolations(library({ sources }))).toEqual([]);
  });
});

describe("the rules for manifests find", () => {
  const planted: readonly (readonly [what: string, change: Partial<Manifest>, message: string])[] = [
    ["another library", { dependencies: { "@secateur/nn": "workspace:*" } }, "may depend on @secateur/core only"],
    ["core as a dependency", { dependencies: { "@secateur/core": "workspace:*" } }, "it is a peer"],
    ["no core among the peers", { peerDependencies: {} }, "in peerDependencies"],
    ["no core for development", { devDependencies: {} }, "in devDependencies"],
    [
      "a version in place of the workspace",
      { peerDependencies: { "@secateur/core": "^1.0.0" } },
      "takes @secateur/core",
    ],
    ["CommonJS", { type: "commonjs" }, "type in package.json"],
    ["a name that is not its folder's", { name: "@secateur/other" }, "name in package.json"],
    ["side effects", { sideEffects: true }, "sideEffects in package.json"],
    [
      "a subpath without a source",
      { exports: { ...rootExport, "./plugin": { types: "./dist/plugin.d.ts", default: "./dist/plugin.js" } } },
      'exports "./plugin", which has no source src/plugin.ts',
    ],
    [
      "a subpath whose types are not its code's",
      { exports: { ...rootExport, "./plugin": { types: "./dist/plugin.d.ts", default: "./dist/other.js" } } },
      'exports "./plugin" as',
    ],
    ["build information among the files", { files: ["dist"] }, "files in package.json"],
  ];
  for (const [what, change, message] of planted) {
    test(what, () => {
      const pkg = library({ manifest: change });
      expect(manifestViolations(pkg, [pkg]).join("\n")).toContain(message);
    });
  }

  test("an import that tsconfig.json does not reference", () => {
    const core = library({ folder: "packages/core", manifest: { name: "@secateur/core" } });
    const sources = { "src/a.ts": 'import "@secateur/core";' };
    const without = library({ sources, tsReferences: [] });
    expect(manifestViolations(without, [core, without]).join("\n")).toContain("does not reference");
    const withIt = library({ sources, tsReferences: ["packages/core"] });
    expect(manifestViolations(withIt, [core, withIt])).toEqual([]);
  });

  test("packages that need each other", () => {
    const a = library({ manifest: { name: "@secateur/a", devDependencies: { "@secateur/b": "workspace:*" } } });
    const b = library({ manifest: { name: "@secateur/b", devDependencies: { "@secateur/a": "workspace:*" } } });
    expect(cycles([a, b])).toEqual(["@secateur/a -> @secateur/b -> @secateur/a"]);
  });
});

interface Planted {
  readonly folder?: string;
  readonly manifest?: Partial<Manifest>;
  readonly sources?: Readonly<Record<string, string>>;
  readonly tsReferences?: readonly string[];
}

/** A library that breaks no rule, apart from what is given. */
function library({
  folder = "packages/fisher",
  manifest = {},
  sources = {},
  tsReferences = [],
}: Planted): WorkspacePackage {
  return {
    folder,
    tsReferences,
    sources: new Map(Object.entries(sources)),
    manifest: {
      name: "@secateur/fisher",
      type: "module",
      license: "MIT",
      sideEffects: false,
      engines: { node: ">=20.19" },
      files: ["dist", "!dist/**/*.tsbuildinfo"],
      exports: rootExport,
      repository: { directory: folder },
      dependencies: { zod: "^4.2.0" },
      peerDependencies: { "@secateur/core": "workspace:^" },
      devDependencies: { "@secateur/core": "workspace:*", "fast-check": "4.10.2" },
      ...manifest,
    },
  };
}
