/** Runs in the page: loads a TensorFlow.js model from the server, prunes it, saves it, and loads what was saved. */
import { loadModel, openEngine, tfjsModel } from "@secateur/backends-tfjs";
import { arrayDataset, createRng, createRunContext, matrix, prune } from "@secateur/core";
import { empiricalFisher } from "@secateur/fisher";
import { chita } from "@secateur/solvers-chita";
import { magnitude } from "@secateur/solvers-magnitude";
import * as tf from "@tensorflow/tfjs";
import * as wasm from "@tensorflow/tfjs-backend-wasm";

/** What the page reports; the test reads it. */
export interface PageResult {
  readonly engine: string;
  readonly prunable: number;
  readonly nonzeros: number;
  readonly dense: number;
  readonly magnitude: number;
  readonly chita: number;
  /** Of the model that was saved to the browser's own storage and loaded again. */
  readonly saved: number;
  readonly tensorsBefore: number;
  readonly tensorsAfter: number;
}

async function run(): Promise<PageResult> {
  const modules = new Map<string, unknown>([
    ["@tensorflow/tfjs", tf],
    ["@tensorflow/tfjs-backend-wasm", wasm],
  ]);
  const engine = await openEngine({ engine: "wasm", load: async (name) => modules.get(name), wasmPath: "/wasm/" });
  const rng = createRng(1);
  const [size, features, classes] = [400, 64, 2];
  const inputs = matrix(
    size,
    features,
    Float32Array.from({ length: size * features }, () => rng.normal()),
  );
  // Which half of the image is brighter.
  const brightness = (from: number): number => {
    let sum = 0;
    for (let k = from; k < from + features / 2; k++) sum += inputs.data[k]!;
    return sum;
  };
  const labels = Array.from({ length: size }, (_, i) => {
    return brightness(i * features) > brightness((i + 0.5) * features) ? 1 : 0;
  });
  const data = arrayDataset({ inputs, labels, classes, inputShape: [8, 8] });
  const trained = tf.sequential({
    layers: [
      tf.layers.conv2d({
        inputShape: [8, 8, 1],
        filters: 4,
        kernelSize: 3,
        activation: "relu",
        kernelInitializer: tf.initializers.heNormal({ seed: 1 }),
      }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 2, activation: "softmax", kernelInitializer: tf.initializers.heNormal({ seed: 2 }) }),
    ],
  });
  trained.compile({ optimizer: tf.train.adam(0.02), loss: "categoricalCrossentropy" });
  const x = tf.tensor(inputs.data as Float32Array, [size, 8, 8, 1]);
  const y = tf.tidy(() => tf.oneHot(tf.tensor1d(labels, "int32"), classes).toFloat());
  await trained.fit(x, y, { epochs: 10, batchSize: 50, shuffle: false, verbose: 0 });
  await trained.save("localstorage://trained");
  const original = await tf.loadLayersModel("localstorage://trained");
  const ctx = createRunContext();
  const adapted = await tfjsModel({ tf, model: original });
  const dense = await adapted.evaluate(data, ctx);
  const tensorsBefore = tf.memory().numTensors;
  await prune({ model: adapted, data, solver: chita(), curvature: empiricalFisher({ examples: 100 }), sparsity: 0.7 });
  const byChita = await adapted.evaluate(data, ctx);
  const tensorsAfter = tf.memory().numTensors;

  // From files over HTTP, saved through TensorFlow.js's own handlers.
  const served = await loadModel({ tf, source: new URL("/model/model.json", location.href).href });
  const result = await prune({ model: served, solver: magnitude(), sparsity: 0.5 });
  const byMagnitude = await served.evaluate(data, ctx);
  const [handler] = tf.io.getSaveHandlers("indexeddb://pruned") as tf.io.IOHandler[];
  await handler!.save!(await served.artifacts());
  const again = await tfjsModel({ tf, model: await tf.loadLayersModel("indexeddb://pruned") });
  const saved = await again.evaluate(data, ctx);
  return {
    engine: engine.name,
    prunable: result.prunable,
    nonzeros: result.nonzeros,
    dense: dense.accuracy,
    magnitude: byMagnitude.accuracy,
    chita: byChita.accuracy,
    saved: saved.accuracy,
    tensorsBefore,
    tensorsAfter,
  };
}

const report = await run().then(
  (result) => ({ result }),
  (error: unknown) => ({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
);
await fetch("/result", { method: "POST", body: JSON.stringify(report) });
