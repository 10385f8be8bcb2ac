import process from "node:process";
import { ownVersion } from "../plugins/own-version.ts";

/** The versions that decide a result: ours, the plugin's and Node's. */
export function versions(
  plugins: readonly { packageName: string; version: string }[],
): Readonly<Record<string, string>> {
  return {
    secateur: ownVersion(),
    "@secateur/core": ownVersion("@secateur/core"),
    ...Object.fromEntries(plugins.map(({ packageName, version }) => [packageName, version])),
    node: process.versions.node,
  };
}
