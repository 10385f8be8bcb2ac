import type { PluginSpec } from "../plugin-files.ts";

/** The manifest: core as a peer, so that a program has one copy, and the keyword by which `secateur plugins` finds it. */
export function packageJson({ name, kind, version }: PluginSpec): string {
  const manifest = {
    name: name.packageName,
    version: "0.1.0",
    description: `${name.method}: a ${kind} for the pruning toolkit Secateur.`,
    keywords: ["secateur-plugin", "pruning", "sparsity", "neural-network"],
    license: "MIT",
    type: "module",
    sideEffects: false,
    exports: { ".": "./src/index.js", "./package.json": "./package.json" },
    files: ["src"],
    engines: { node: ">=20.19" },
    scripts: { test: "node --test" },
    dependencies: { zod: "^4.2.0" },
    peerDependencies: { "@secateur/core": `^${version}` },
    devDependencies: { "@secateur/conformance": `^${version}`, "@secateur/core": `^${version}` },
  };
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}
