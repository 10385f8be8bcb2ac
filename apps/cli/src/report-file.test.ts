import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { call, smallTask } from "./testing.test-support.ts";

test("a report is written by prune, with the command line that made it", async () => {
  const { folder, model, data } = await smallTask();
  const report = join(folder, "report.html");
  const argv = ["prune", model, "--data", data, "--solver", "magnitude", "--sparsity", "0.5", "--report", report];
  expect((await call(argv)).code).toBe(0);
  // A temporary folder's name has no character that HTML would escape.
  const html = await readFile(report, "utf8");
  expect(html).toContain(`secateur prune ${model}`);
  expect(html.startsWith("<!doctype html>")).toBe(true);
  expect(html.trimEnd().endsWith("</html>")).toBe(true);
});
