import type { PluginKind } from "./plugin-kinds.ts";
import type { PluginName } from "./plugin-name.ts";
import { methodSource } from "./template/method.ts";
import { packageJson } from "./template/package-json.ts";
import { pluginSource } from "./template/plugin.ts";
import { readme } from "./template/readme.ts";
import { testSource } from "./template/test.ts";

/** Texts by their path in the folder. */
export type PluginFiles = Readonly<Record<string, string>>;

/** What a folder is made for. */
export interface PluginSpec {
  readonly name: PluginName;
  readonly kind: PluginKind;
  /** Of the packages it needs, for example "0.1.0". */
  readonly version: string;
}

/** The files of a plugin: a method that works, its options, its tests, what npm and readers need. Pure. */
export function pluginFiles(spec: PluginSpec): PluginFiles {
  return {
    "package.json": packageJson(spec),
    "README.md": readme(spec),
    ".gitignore": "node_modules/\n",
    "src/plugin.js": pluginSource(spec),
    [`src/${spec.name.method}.js`]: methodSource(spec),
    "test/conformance.test.js": testSource(spec),
  };
}
