import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { withTable } from "./operator-table.test-support.ts";

test("the documentation's table of operators is made from the operators there are", () => {
  const page = readFileSync(new URL("../../../../docs/onnx.md", import.meta.url), "utf8");
  // node packages/graph/scripts/operator-table.mjs brings it up to date.
  expect(page).toBe(withTable(page));
});
