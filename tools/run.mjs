// The one entry of every `npm run` task. It has no dependencies and runs on Node 20.19, so that a fresh clone
// needs nothing else: it installs what is missing, builds what changed, and then starts the task's own tool
// on the Node that the workspace installs for itself.
import { readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  runBenchmarks,
  runChitaBenchmark,
  runImpBenchmark,
  runLayerwiseBenchmark,
  runObsBenchmark,
  runOnnxBenchmark,
  runPeersBenchmark,
  runSparseTrainingBenchmark,
} from "./tasks/bench.mjs";
import { openPage, testPage } from "./tasks/browser.mjs";
import { build } from "./tasks/build.mjs";
import { runFaults, runFuzz } from "./tasks/campaign.mjs";
import { check } from "./tasks/check.mjs";
import { demo } from "./tasks/demo.mjs";
import { docs } from "./tasks/docs.mjs";
import { install, setup } from "./tasks/install.mjs";
import { pack } from "./tasks/pack.mjs";
import { Failure, nodeProblem } from "./tasks/process.mjs";
import { test } from "./tasks/test.mjs";
import { testPlugin } from "./tasks/test-plugin.mjs";

const tasks = {
  setup,
  build: afterInstall(build),
  demo: afterInstall(demo),
  test: afterInstall(test),
  "test:plugin": afterInstall(testPlugin),
  check: afterInstall(check),
  bench: afterInstall(runBenchmarks),
  "bench:chita": afterInstall(runChitaBenchmark),
  "bench:imp": afterInstall(runImpBenchmark),
  "bench:layerwise": afterInstall(runLayerwiseBenchmark),
  "bench:obs": afterInstall(runObsBenchmark),
  "bench:onnx": afterInstall(runOnnxBenchmark),
  "bench:peers": afterInstall(runPeersBenchmark),
  "bench:sparse-training": afterInstall(runSparseTrainingBenchmark),
  fuzz: afterInstall(runFuzz),
  faults: afterInstall(runFaults),
  browser: afterInstall(openPage),
  "test:browser": afterInstall(testPage),
  docs: afterInstall(docs),
  pack: afterInstall(pack),
};

function afterInstall(task) {
  return async (context) => {
    await install(context);
    return task(context);
  };
}

const root = fileURLToPath(new URL("..", import.meta.url));
const [name = "", ...args] = process.argv.slice(2);

try {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  const problem = nodeProblem();
  if (problem) throw new Failure(problem);
  if (!Object.hasOwn(tasks, name)) {
    const found = name === "" ? "no task was named" : `'${name}' is not a task`;
    throw new Failure(`${found}; the tasks are ${Object.keys(tasks).join(", ")}`, 2);
  }
  await tasks[name]({ root, args, manifest });
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  if (error.message !== "") process.stderr.write(`run ${name}: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
