// Brings the table of operators in docs/onnx.md up to date: node packages/graph/scripts/operator-table.mjs (Node 22.18 or later)
import { readFileSync, writeFileSync } from "node:fs";
import { withTable } from "../src/operators/operator-table.test-support.ts";

const page = new URL("../../../docs/onnx.md", import.meta.url);
writeFileSync(page, withTable(readFileSync(page, "utf8")));
