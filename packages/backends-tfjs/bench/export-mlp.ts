/** A perceptron of ours as a TensorFlow.js model with the same weights. */
import type { Network } from "@secateur/nn";
import type { LayersModel } from "@tensorflow/tfjs";
import type { Tf } from "../src/tf.ts";

/**
 * Dense layers with ReLU between them and softmax at the end, as the network has them.
 *
 * @param network - dense layers fc1, fc2, ... only, with ReLU between them
 */
export function exportPerceptron(tf: Tf, network: Network): LayersModel {
  const tensors = new Map(network.tensors().map((tensor) => [tensor.name, tensor]));
  const denses = network.spec.layers.filter((layer) => layer.kind === "dense");
  const features = network.spec.inputShape.reduce((product, extent) => product * extent, 1);
  const model = tf.sequential();
  denses.forEach(({ name, out, bias = true }, i) => {
    model.add(
      tf.layers.dense({
        ...(i === 0 ? { inputShape: [features] } : {}),
        name,
        units: out,
        useBias: bias,
        kernelInitializer: "zeros",
        activation: i === denses.length - 1 ? "softmax" : "relu",
      }),
    );
  });
  for (const { name, in: inputs, out, bias = true } of denses) {
    const kernel = tensors.get(`${name}.weight`)!;
    const transposed = tf.tidy(() => tf.tensor2d(Float32Array.from(kernel.data), [out, inputs]).transpose());
    const values = [transposed, ...(bias ? [tf.tensor1d(Float32Array.from(tensors.get(`${name}.bias`)!.data))] : [])];
    model.getLayer(name).setWeights(values);
    tf.dispose(values);
  }
  return model;
}
