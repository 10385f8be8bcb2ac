import type { PluginKind, PluginSpec } from "../plugin-files.ts";

const claims: Readonly<Record<PluginKind, string>> = {
  saliency: '{ claims: ["identity"] }',
  selector: '{ claims: ["identity"] }',
  updater: "{}",
  solver: '{ claims: ["identity"] }',
};

/** test/conformance.test.js: the whole suite in one call. */
export function testSource({ name, kind }: PluginSpec): string {
  return `// Everything a ${kind} has to prove, on tiny problems: exact budgets, inputs left alone, same seed same bytes, and so on.
// Say in \`claims\` what your method reaches, for example "mask", "diagonal" or "any-k": brute force then checks it.
import { test } from "node:test";
import { describePlugin } from "@secateur/conformance";
import plugin from "../src/plugin.js";

describePlugin({ test, plugin, claims: { "${kind} ${name.method}": ${claims[kind]} } });
`;
}
