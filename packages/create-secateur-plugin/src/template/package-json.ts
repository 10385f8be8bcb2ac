import type { PluginSpec } from "../plugin-files.ts";

/** The manifest: core as a peer, so that a program has one copy, and the keyword by which `secateur plugins` finds it. */
export function packageJson({ name, kind, version }: PluginSpec): string {
  const manifest = {
    name: name.packageName,
    version: "0.1.0",
    description: `${name.method}: a ${kind.replace("-", " ")} for the pruning toolkit Secateur.`,
    keywords: ["secateur-plugin", "pruning", "sparsity", "neural-network"],
    license: "MIT",
    type: "module",
    sideEffects: false,
    exports: { ".": `./src/${name.method}.js`, "./plugin": "./src/plugin.js", "./package.json": "./package.json" },
    files: ["src"],
    engines: { node: ">=20.19" },
    scripts: { test: "node --test" },
    ...(kind === "format" ? {} : { dependencies: { zod: "^4.2.0" } }),
    peerDependencies: { "@secateur/core": rangeOf(version) },
    devDependencies: { "@secateur/conformance": rangeOf(version), "@secateur/core": rangeOf(version) },
  };
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

/** Everything up to the next version that may break: "^0.0.0" would be that very version and no other. */
function rangeOf(version: string): string {
  return version.startsWith("0.0.") ? ">=0.0.0 <0.2.0" : `^${version}`;
}
