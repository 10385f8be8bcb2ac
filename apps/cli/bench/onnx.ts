/**
 * `npm run bench:onnx -- FOLDER... [--shapes FILE:INPUT=2x3x48x320,INPUT=...] [--fix FILE:INPUT=16000,...] [--only files|speed] [--runs 20] [--turn 5] [--threads 1,2]`: every .onnx file below the
 * folders, beside the onnxruntime-node and onnxruntime-web installed in the first one.
 *
 * files: operators, what is not known, whether nothing changed is nothing written, and whether onnxruntime-node opens the file with half of its
 * weights removed and computes what our graph computes. speed: our forward pass against onnxruntime-web's, with each number of threads, each the median of
 * `--runs` turns of `--turn` forward passes, taken one after the other. Extents that vary are 2 for the first axis and 64 for others, unless --shapes says.
 */
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { onnxTensors, readOnnx } from "@secateur/formats";
import { createGraphModel } from "@secateur/graph";
import { halved, isUnchanged } from "./onnx-files.ts";
import { openRuntime, readConstants, readShapes } from "./onnx-runtime.ts";
import { compareSpeed } from "./onnx-speed.ts";
import { printLine, printTable, showProgress } from "./print.ts";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    shapes: { type: "string", multiple: true, default: [] },
    fix: { type: "string", multiple: true, default: [] },
    only: { type: "string" },
    runs: { type: "string", default: "20" },
    turn: { type: "string", default: "5" },
    threads: { type: "string", default: "1,2" },
  },
});
// npm starts scripts in the root of the repository and says here where it was called.
const folders = (positionals.length > 0 ? positionals : ["."]).map((folder) =>
  resolve(process.env["INIT_CWD"] ?? "", folder),
);
const shapes = readShapes(values.shapes);
const constants = readConstants(values.fix);

/** Each model once, however often it is installed. */
const files = new Map<string, string>();
for (const folder of folders) {
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
    if (!name.endsWith(".onnx")) continue;
    const path = join(folder, name);
    const { bytes } = await readOnnx(path).catch(() => ({ bytes: new TextEncoder().encode(path) }));
    const hash = createHash("sha256").update(bytes).digest("hex");
    if (!files.has(hash)) files.set(hash, path);
  }
}

if (values.only !== "speed") {
  const runtime = await openRuntime("onnxruntime-node", folders[0]!);
  const rows: (string | undefined)[][] = [];
  for (const path of files.values()) {
    showProgress(basename(path));
    const { model, bytes } = await readOnnx(path);
    const graph = createGraphModel({ graph: model.graph, opsets: model.opsets, name: basename(path) });
    const operators = new Set(model.graph.nodes.map(({ op, domain }) => (domain === "" ? op : `${domain}.${op}`)));
    rows.push([
      basename(path),
      `${Object.values(model.opsets)[0]}`,
      `${graph.params().reduce((sum, { rows: out, cols }) => sum + out * cols, 0)}`,
      `${onnxTensors(model.graph).length}`,
      isUnchanged({ path, bytes, model, graph }) ? "yes" : "no",
      await halved({ path, bytes, model, graph }, runtime, { shapes, constants }),
      [...graph.unknownOperators.keys()].join(" ") || "-",
      [...operators].sort().join(" "),
    ]);
  }
  printTable(
    [
      "file",
      "opset",
      "weights",
      "tensors",
      "bytes unchanged",
      "half of the weights, onnxruntime-node",
      "not known",
      "operators",
    ],
    rows,
  );
}
if (values.only !== "files") {
  const rows: (string | undefined)[][] = [];
  for (const path of files.values()) {
    for (const threads of values.threads.split(",").map(Number)) {
      showProgress(`${basename(path)}, ${threads} threads`);
      rows.push(
        await compareSpeed({
          ...{ path, threads, shapes, constants, folder: folders[0]! },
          ...{ runs: Number(values.runs), turn: Number(values.turn) },
        }),
      );
    }
  }
  printLine();
  printTable(
    ["file", "shapes", "threads", "ours ms", "onnxruntime-web ms", "ours / theirs", "processor time, ours / theirs"],
    rows,
  );
}
process.exit(0);
