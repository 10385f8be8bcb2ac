// Writes src/operators/operator-goldens.json: what onnxruntime-node makes of every case of operator-cases.test-support.ts.
//   npm run build && node packages/graph/scripts/operator-goldens.mjs FOLDER
// FOLDER has onnxruntime-node in its node_modules. Needs Node 22.18 or later.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeOnnx } from "../../formats/dist/index.js";
import { graphOfCase, inputNumbers, operatorCases } from "../src/operators/operator-cases.test-support.ts";

const folder = resolve(process.argv[2] ?? ".");
const ort = createRequire(join(folder, "package.json"))("onnxruntime-node");
const { version } = JSON.parse(readFileSync(join(folder, "node_modules/onnxruntime-node/package.json"), "utf8"));
const cases = {};
for (const spec of operatorCases) {
  const graph = graphOfCase(spec);
  const nodes = graph.nodes.map((node) => ({ ...node, floats: spec.floats }));
  // The type of the output is what inference says: asked for by trying.
  for (const dtype of ["f32", "i64", "u8", "i8", "bool"]) {
    const outputs = graph.outputs.map((output) => ({ ...output, dtype }));
    const bytes = encodeOnnx({ opsets: { "": spec.opset }, metadata: {}, graph: { ...graph, nodes, outputs } });
    try {
      const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 4 });
      const feeds = Object.fromEntries(
        graph.inputs.map(({ name, shape }) => {
          const size = shape.reduce((product, extent) => product * extent, 1);
          const data = Float32Array.from(inputNumbers(spec, Number(name.slice(1)), size));
          return [name, new ort.Tensor("float32", data, shape)];
        }),
      );
      const results = await session.run(feeds);
      // Texts, because a number a line would make a long file of them.
      cases[spec.name] = graph.outputs.map(({ name }) => {
        const { dims, data } = results[name];
        return `[${dims.join(", ")}] ${Array.from(data, (value) => Number(Number(value).toPrecision(9))).join(" ")}`;
      });
      break;
    } catch (error) {
      if (dtype === "bool") console.error(spec.name, String(error).slice(0, 300));
    }
  }
}
const about = `onnxruntime-node ${version}; scripts/operator-goldens.mjs`;
const target = fileURLToPath(new URL("../src/operators/operator-goldens.json", import.meta.url));
writeFileSync(target, JSON.stringify({ from: about, cases }));
const here = fileURLToPath(new URL(".", import.meta.url));
execFileSync(join(here, "../../../node_modules/.bin/biome"), ["format", "--write", target]);
