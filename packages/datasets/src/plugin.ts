/** The plugin manifest of this package: the datasets that are opened by name. */
import { defineEntry, definePlugin, noOptions, type Plugin } from "@secateur/core";
import { dataSources } from "./open-dataset.ts";

const plugin: Plugin = definePlugin({
  api: 2,
  name: "@secateur/datasets",
  entries: dataSources.map((source) =>
    defineEntry({
      kind: "dataset",
      name: source.name,
      summary: source.summary,
      options: noOptions,
      create: () => source,
    }),
  ),
});
export default plugin;
