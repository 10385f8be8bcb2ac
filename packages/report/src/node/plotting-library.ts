import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** The code of ECharts' own build for browsers (Apache License 2.0, its notice stays in it), for reports whose plots are live. */
export async function plottingLibrary(): Promise<string> {
  const code = await readFile(require.resolve("echarts/dist/echarts.common.min.js"), "utf8");
  return code.replace(/^\/\/# sourceMappingURL=.*$/m, "");
}
