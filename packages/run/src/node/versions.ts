import process from "node:process";
import type { FoundEntry } from "../plugins/found-entry.ts";
import { ownVersion } from "./plugins/own-version.ts";

/** Our packages that every command with a network uses. */
const libraries = [
  "@secateur/core",
  "@secateur/nn",
  "@secateur/backends-wasm",
  "@secateur/formats",
  "@secateur/datasets",
] as const;

/** Our packages that run models which are no networks of our layers. */
export const modelPackages = { onnx: "@secateur/graph", tfjs: "@secateur/backends-tfjs" } as const;

type Found = Pick<FoundEntry, "packageName" | "version" | "parts">;

/** The versions that decide a result: ours, the plugin's and Node's. */
export function versions(plugins: readonly Found[], more: readonly string[] = []): Readonly<Record<string, string>> {
  return {
    secateur: ownVersion(),
    ...Object.fromEntries([...libraries, ...more].map((name) => [name, ownVersion(name)])),
    ...packageVersions(plugins),
    node: process.versions.node,
  };
}

/** The versions of the packages that plugins come from. */
export function packageVersions(plugins: readonly Found[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    plugins.flatMap((found) => found.parts ?? [found]).map(({ packageName, version }) => [packageName, version]),
  );
}
