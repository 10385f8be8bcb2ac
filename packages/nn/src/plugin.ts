/** The plugin manifest of this package: its built-in networks. */
import { defineEntry, definePlugin, noOptions, type Plugin } from "@secateur/core";
import { architecture, architectureNames, architectureSummary } from "./architectures/architectures.ts";

const plugin: Plugin = definePlugin({
  api: 2,
  name: "@secateur/nn",
  entries: architectureNames.map((name) =>
    defineEntry({
      kind: "architecture",
      name,
      summary: architectureSummary(name),
      options: noOptions,
      create: () => architecture(name),
    }),
  ),
});
export default plugin;
