/** TensorFlow.js's WebAssembly backend beside our own runtime, where the user has it installed. */
import type { ModelFiles } from "@secateur/backends-tfjs";
import { isPruneError } from "@secateur/core";
import { startTensorflow } from "../open/load-tensorflow.ts";
import type { StockEngine } from "./onnx-engines.ts";

/**
 * Loads a model on one thread, which is what that backend has in Node.
 *
 * @param spec.files - asked for only where the packages are installed
 * @param spec.cwd - where they are looked for
 * @returns undefined where they are not installed
 * @throws what `files` throws
 */
export async function openTfjsEngine(spec: {
  readonly files: () => Promise<ModelFiles>;
  readonly cwd: string;
}): Promise<StockEngine | undefined> {
  const { files, cwd } = spec;
  const started = await startTensorflow({ engine: "wasm", folders: [cwd], onEvent: () => undefined }).catch((error) => {
    if (isPruneError(error) && error.code === "ERR_TFJS_ENGINE") return undefined;
    throw error;
  });
  if (!started) return undefined;
  const { tf } = started;
  const { json, weights, data } = await files();
  const before = performance.now();
  const artifacts = { modelTopology: json.modelTopology, weightSpecs: weights.map(({ spec: one }) => one) };
  const model = await tf.loadLayersModel(tf.io.fromMemory({ ...artifacts, weightData: data.buffer } as object));
  const loadMs = performance.now() - before;
  const inputs = model.inputs.map(({ shape }) => {
    const dims = shape.map((extent) => extent ?? 1);
    const size = dims.reduce((product, extent) => product * extent, 1);
    return tf.tensor(
      Float32Array.from({ length: size }, (_, i) => Math.sin(i)),
      dims,
    );
  });
  return {
    engine: "tfjs-wasm",
    threads: 1,
    loadMs,
    async run() {
      const outputs = [model.predict(inputs)].flat();
      for (const output of outputs) await output.data();
      tf.dispose(outputs);
    },
    async close() {
      tf.dispose(inputs);
      model.dispose();
    },
  };
}
