/** Losses of TensorFlow.js models by name, and what files say about them. */
import type { Tensor } from "../tf.ts";

/** Losses by name. "model": the function that the model was compiled with, whatever it is. */
export const lossNames = ["cross-entropy", "binary-cross-entropy", "mse", "model"] as const;

/** One of {@link lossNames}. */
export type LossName = (typeof lossNames)[number];

/** The loss function of a compiled LayersModel, as TensorFlow.js calls it. */
export type CompiledLoss = (target: Tensor, output: Tensor) => Tensor;

/** Names of Keras and of TensorFlow.js, lower case without "_". */
const known: Readonly<Record<string, LossName>> = {
  categoricalcrossentropy: "cross-entropy",
  sparsecategoricalcrossentropy: "cross-entropy",
  binarycrossentropy: "binary-cross-entropy",
  meansquarederror: "mse",
  mse: "mse",
};

/** The loss that a name of Keras or TensorFlow.js means: categoricalCrossentropy, binary_crossentropy, MSE; undefined for others. */
export function lossNamed(name: string): LossName | undefined {
  const key = name.toLowerCase().replaceAll("_", "");
  return Object.hasOwn(known, key) ? known[key] : undefined;
}

/**
 * The losses that model.json names for the outputs: TensorFlow.js writes `trainingConfig` beside the topology, files converted from Keras
 * have `training_config` inside of it. A loss is a name or an object with a class_name, one for all outputs, a list, or by output's name.
 *
 * @param names - of the outputs, in order
 * @returns a name for each; undefined where nothing is said
 */
export function lossesInFile(
  json: Readonly<Record<string, unknown>>,
  names: readonly string[],
): readonly (string | undefined)[] {
  const topology = json["modelTopology"] as Record<string, unknown> | undefined;
  const config = (json["trainingConfig"] ?? topology?.["training_config"]) as { loss?: unknown } | null | undefined;
  const loss = config?.loss;
  return names.map((name, i) => {
    if (Array.isArray(loss)) return nameOfLoss(loss[i]);
    if (typeof loss === "object" && loss !== null && !("class_name" in loss)) {
      return nameOfLoss((loss as Record<string, unknown>)[name]);
    }
    return nameOfLoss(loss);
  });
}

function nameOfLoss(loss: unknown): string | undefined {
  if (typeof loss === "string") return loss;
  const name = (loss as { class_name?: unknown } | null | undefined)?.class_name;
  return typeof name === "string" ? name : undefined;
}
