// Benchmarks: each is a plain script that prints its own table, run alone in its own process.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { build } from "./build.mjs";
import { workspaceFolders } from "./install.mjs";
import { Failure, run } from "./process.mjs";

/** `npm run bench [-- NAME...]`: every `bench/*.bench.ts`, or those whose path contains one of the names. */
export async function runBenchmarks(context) {
  const { root, args } = context;
  const all = workspaceFolders(root).flatMap((folder) => {
    const bench = join(root, folder, "bench");
    if (!existsSync(bench)) return [];
    const scripts = readdirSync(bench).filter((file) => file.endsWith(".bench.ts"));
    return scripts.sort().map((file) => `${folder}/bench/${file}`);
  });
  const chosen = args.length === 0 ? all : all.filter((script) => args.some((part) => script.includes(part)));
  if (chosen.length === 0) {
    throw new Failure(
      `no benchmark matches ${args.join(", ") || "*.bench.ts"}; there are: ${all.join(", ") || "none"}`,
      2,
    );
  }
  await build(context);
  for (const script of chosen) {
    process.stdout.write(`\n== ${script}\n`);
    await run(root, "node", [script]);
  }
}

/** `npm run bench:chita [-- ARGUMENT...]`: the comparison of the CHITA solvers; arguments go to its script. */
export async function runChitaBenchmark(context) {
  await build(context);
  await run(context.root, "node", ["apps/cli/bench/chita.ts", ...context.args]);
}

/** `npm run bench:imp [-- ARGUMENT...]`: the comparison of retraining schedules; arguments go to its script. */
export async function runImpBenchmark(context) {
  await build(context);
  await run(context.root, "node", ["apps/cli/bench/imp.ts", ...context.args]);
}

/** `npm run bench:layerwise -- DATA_FOLDER`: the layer-wise solvers on single layers; arguments go to its script. */
export async function runLayerwiseBenchmark(context) {
  await build(context);
  await run(context.root, "node", ["apps/cli/bench/layerwise.ts", ...context.args]);
}

/** `npm run bench:onnx -- FOLDER`: ONNX files of packages, in and out, and forward speed beside onnxruntime's; arguments go to its script. */
export async function runOnnxBenchmark(context) {
  await build(context);
  await run(context.root, "node", ["apps/cli/bench/onnx.ts", ...context.args]);
}

/** `npm run bench:peers -- DATA`: what takes how long beside other programs; arguments go to its script. */
export async function runPeersBenchmark(context) {
  await build(context);
  await run(context.root, "node", ["apps/cli/bench/peers.ts", ...context.args]);
}

/** `npm run bench:obs [-- ARGUMENT...]`: the Brain Surgeon family beside CHITA; arguments go to its script. */
export async function runObsBenchmark(context) {
  await build(context);
  await run(context.root, "node", ["apps/cli/bench/obs.ts", ...context.args]);
}

/** `npm run bench:sparse-training [-- DATA]`: rules of sparse training beside retraining; arguments go to its script. */
export async function runSparseTrainingBenchmark(context) {
  await build(context);
  await run(context.root, "node", ["apps/cli/bench/sparse-training.ts", ...context.args]);
}
