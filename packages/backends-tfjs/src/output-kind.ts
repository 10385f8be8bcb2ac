/** What a model's output is, told from the operation that computed it. */
import type { TapeNode, Tensor } from "./tf.ts";

/**
 * "softmax" and "sigmoid": probabilities whose scores went through that operation last, so that gradients start at the scores;
 * "scores": anything else.
 */
export type OutputKind = "softmax" | "sigmoid" | "scores";

/** The kind of an output on a tape. */
export function outputKindOf(tape: readonly TapeNode[], output: Tensor): OutputKind {
  switch (producerOf(tape, output)?.kernelName) {
    case "Softmax":
      return "softmax";
    case "Sigmoid":
      return "sigmoid";
    default:
      return "scores";
  }
}

/** The node that computed a tensor, before changes of its shape only. */
export function producerOf(tape: readonly TapeNode[], output: Tensor): TapeNode | undefined {
  let wanted = output;
  for (let i = tape.length - 1; i >= 0; i--) {
    const node = tape[i]!;
    if (!node.outputs.some((tensor) => tensor.id === wanted.id)) continue;
    if (node.kernelName !== "Reshape" && node.kernelName !== "Identity") return node;
    wanted = Object.values(node.inputs)[0]!;
  }
  return undefined;
}
