/**
 * A model with 2.6 GB of weights beside it, pruned by magnitude, and its first and last layer by their inputs: `npm run bench -- large`. The file is
 * sparse, so that it takes no disk, and every weight matrix has numbers in its first rows. Prints seconds and peak memory, and whether the
 * largest weights stayed.
 */
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeNpy, encodeOnnx } from "@secateur/formats";
import { nodeRun } from "./memory.ts";
import { printLine } from "./print.ts";

const [count, width, filled] = [40, 4096, 64 * 4096];
const layerBytes = width * width * 4;
const folder = mkdtempSync(join(tmpdir(), "large-"));
try {
  const names = Array.from({ length: count }, (_, i) => `w${i}`);
  const distant = names.map((name, i) => ({
    ...{ name, dtype: "f32", shape: [width, width] },
    distant: { location: "net.data", offset: i * layerBytes, length: layerBytes },
  })) as NonNullable<Parameters<typeof encodeOnnx>[0]["graph"]["distant"]>;
  const nodes = names.map((name, i) => ({
    ...{ name: `m${i}`, op: "MatMul", domain: "", attributes: {} },
    ...{ inputs: [i === 0 ? "x" : `h${i - 1}`, name], outputs: [i === count - 1 ? "y" : `h${i}`] },
  }));
  const shape = ["batch", width];
  const value = (name: string) => ({ name, dtype: "f32", shape });
  const graph = { name: "large", nodes, initializers: [], distant, inputs: [value("x")], outputs: [value("y")] };
  await writeFile(join(folder, "net.onnx"), encodeOnnx({ opsets: { "": 17 }, metadata: {}, graph }));
  const data = openSync(join(folder, "net.data"), "w");
  ftruncateSync(data, count * layerBytes);
  const rows = Float32Array.from({ length: filled }, (_, i) => Math.sin(i));
  for (let i = 0; i < count; i++) writeSync(data, new Uint8Array(rows.buffer), 0, 4 * filled, i * layerBytes);
  closeSync(data);
  mkdirSync(join(folder, "out"));
  const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));
  const out = join(folder, "out", "net.onnx");
  const started = performance.now();
  // Half of the numbers that are not zero go.
  const sparsity = 1 - filled / 2 / (width * width);
  const call = [main, "prune", join(folder, "net.onnx"), "--solver", "magnitude", "--sparsity", `${sparsity}`];
  const { peak } = await nodeRun([...call, "--out", out, "--json"]);
  const seconds = (performance.now() - started) / 1000;
  const first = new Float32Array(filled);
  const written = openSync(join(folder, "out", "net.data"), "r");
  readSync(written, new Uint8Array(first.buffer), 0, 4 * filled, 0);
  closeSync(written);
  const kept = first.filter((x) => x !== 0);
  const least = kept.reduce((m, x) => Math.min(m, Math.abs(x)), 1);
  printLine(
    `${((count * layerBytes) / 1e9).toFixed(2)} GB of weights: ${seconds.toFixed(1)} s, peak ${(peak / 1e6).toFixed(0)} MB; of the first ${filled} numbers ${kept.length} stay, all above ${least.toFixed(4)}`,
  );
  const examples = Float32Array.from({ length: 64 * width }, (_, i) => Math.cos(i * i));
  await writeFile(join(folder, "x.npy"), encodeNpy({ shape: [64, width], data: examples }));
  const dense = names.slice(1, -1).join();
  const begun = performance.now();
  const layerwise = ["prune", join(folder, "net.onnx"), "--solver", "wanda", "--data", `npy:${join(folder, "x.npy")}`];
  const rest = ["--sparsity", "0.5", "--keep-dense", dense, "--out", join(folder, "layers", "net.onnx"), "--json"];
  mkdirSync(join(folder, "layers"));
  const run = await nodeRun([main, ...layerwise, ...rest]);
  printLine(
    `the same by wanda, two layers of ${count} pruned by their inputs on 64 examples: ${((performance.now() - begun) / 1000).toFixed(1)} s, peak ${(run.peak / 1e6).toFixed(0)} MB`,
  );
} finally {
  rmSync(folder, { recursive: true });
}
