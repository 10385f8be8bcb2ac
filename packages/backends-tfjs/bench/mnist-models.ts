/** Models of the benchmarks, trained on MNIST in TensorFlow.js itself, with its WASM engine and our gradient kernels. */
import { createRng, type Dataset, inputRows, labelsOf } from "@secateur/core";
import type { LayersModel } from "@tensorflow/tfjs";
import type { Tf } from "../src/tf.ts";

/** About 97,000 weights in convolutions, depthwise convolutions and dense layers, with batch normalisation. */
export function convolutionalModel(tf: Tf): LayersModel {
  const he = (seed: number) => tf.initializers.heNormal({ seed });
  const { layers } = tf;
  return tf.sequential({
    layers: [
      layers.conv2d({
        inputShape: [28, 28, 1],
        filters: 16,
        kernelSize: 3,
        padding: "same",
        useBias: false,
        kernelInitializer: he(1),
      }),
      layers.batchNormalization(),
      layers.activation({ activation: "relu" }),
      layers.depthwiseConv2d({
        kernelSize: 3,
        strides: 2,
        padding: "same",
        activation: "relu",
        depthwiseInitializer: he(2),
      }),
      layers.conv2d({ filters: 32, kernelSize: 1, useBias: false, kernelInitializer: he(3) }),
      layers.batchNormalization(),
      layers.activation({ activation: "relu" }),
      layers.depthwiseConv2d({
        kernelSize: 3,
        strides: 2,
        padding: "same",
        activation: "relu",
        depthwiseInitializer: he(4),
      }),
      layers.conv2d({ filters: 64, kernelSize: 1, useBias: false, kernelInitializer: he(5) }),
      layers.batchNormalization(),
      layers.activation({ activation: "relu" }),
      layers.flatten(),
      layers.dense({ units: 30, activation: "relu", kernelInitializer: he(6) }),
      layers.dense({ units: 10, activation: "softmax", kernelInitializer: he(7) }),
    ],
  });
}

/** An LSTM that reads the rows of an image. */
export function recurrentModel(tf: Tf): LayersModel {
  const { layers } = tf;
  const kernelInitializer = tf.initializers.glorotUniform({ seed: 1 });
  // Orthogonal by default, which TensorFlow.js computes slowly.
  const recurrentInitializer = tf.initializers.glorotUniform({ seed: 2 });
  return tf.sequential({
    layers: [
      layers.lstm({ inputShape: [28, 28], units: 32, kernelInitializer, recurrentInitializer }),
      layers.dense({ units: 10, activation: "softmax", kernelInitializer: tf.initializers.glorotUniform({ seed: 3 }) }),
    ],
  });
}

/** Trains with Adam on shuffled mini-batches of 64; the same bytes for the same seed and engine. */
export async function trainModel(
  tf: Tf,
  spec: { model: LayersModel; data: Dataset; epochs: number; onEpoch: (epoch: number, loss: number) => void },
): Promise<void> {
  const { model, data, epochs, onEpoch } = spec;
  const [, ...shape] = model.inputs[0]!.shape as number[];
  model.compile({ optimizer: tf.train.adam(2e-3), loss: "categoricalCrossentropy" });
  const rng = createRng(0);
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = Uint32Array.from({ length: data.size }, (_, i) => i);
    for (let i = order.length - 1; i > 0; i--) {
      const j = rng.integer(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    let total = 0;
    for (let start = 0; start + 64 <= order.length; start += 64) {
      const batch = await data.batch(order.subarray(start, start + 64));
      const [inputs, labels] = [inputRows(batch), labelsOf(batch)];
      const x = tf.tensor(inputs.data as Float32Array, [64, ...shape]);
      const y = tf.tidy(() => tf.oneHot(tf.tensor1d(Int32Array.from(labels), "int32"), 10).toFloat());
      total += (await model.trainOnBatch(x, y)) as number;
      tf.dispose([x, y]);
    }
    onEpoch(epoch + 1, total / Math.floor(order.length / 64));
  }
}
