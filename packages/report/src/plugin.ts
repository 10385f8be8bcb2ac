/** The plugin manifest of this package: what `--report FILE` writes, by the ending of FILE. */
import { defineEntry, definePlugin, noOptions, type Plugin } from "@secateur/core";
import { jsonReport } from "./json-report.ts";

const plugin: Plugin = definePlugin({
  api: 2,
  name: "@secateur/report",
  entries: [
    defineEntry({
      kind: "reporter",
      name: "html",
      summary: "one page with plots and tables that needs nothing else",
      options: noOptions,
      create: () => ({
        endings: [".html", ".htm"],
        // Loaded with the first report: the plotting library is far larger than everything else.
        report: async (content) => (await import("./report.ts")).makeReport(content),
      }),
    }),
    defineEntry({
      kind: "reporter",
      name: "json",
      summary: "everything that the page shows, as JSON",
      options: noOptions,
      create: () => ({ endings: [".json"], report: jsonReport }),
    }),
  ],
});
export default plugin;
