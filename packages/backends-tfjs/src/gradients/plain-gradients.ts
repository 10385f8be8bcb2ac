/** Summed gradients by TensorFlow.js's own differentiation: the mean gradient, and rows of what leaves no factors. */
import { type OutputKind, outputKindOf, producerOf } from "../output-kind.ts";
import { type Tensor, type Tf, tapeOf } from "../tf.ts";

/** A differentiable computation over some weights. */
export interface Differentiable {
  /** By name; f32. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Runs the model. */
  readonly forward: () => Tensor;
  /** The gradient of the summed loss at the scores (see {@link OutputKind}), given the model's output. */
  readonly delta: (output: Tensor, kind: OutputKind) => Tensor;
}

/** The gradient of the summed loss by every weight, in stored layout; zeros where a weight has no influence. The caller owns all tensors. */
export function plainGradients(
  tf: Tf,
  { weights, forward, delta }: Differentiable,
): { readonly output: Tensor; readonly kind: OutputKind; readonly gradients: ReadonlyMap<string, Tensor> } {
  let kind: OutputKind = "scores";
  const run = (): Tensor => {
    const output = forward();
    kind = outputKindOf(tapeOf(tf), output);
    return startBackward(tf, { output, kind, delta });
  };
  const { value, grads } = differentiate(tf, run, [...weights.values()]);
  const gradients = new Map([...weights].map(([name, tensor], i) => [name, grads[i] ?? tf.zeros(tensor.shape)]));
  return { output: value, kind, gradients };
}

/** Makes the backward pass of the output start with the loss's own gradient at its scores; returns what to differentiate. */
export function startBackward(
  tf: Tf,
  spec: { output: Tensor; kind: OutputKind; delta: Differentiable["delta"] },
): Tensor {
  const { output, kind, delta } = spec;
  if (kind === "scores") {
    const start = tf.customGrad((y, save) => {
      (save as (tensors: Tensor[]) => void)([y as Tensor]);
      return { value: (y as Tensor).clone(), gradFunc: (_dy, saved) => delta((saved as Tensor[])[0]!, kind) };
    });
    return start(output);
  }
  // Softmax and sigmoid go with the cross-entropy: through both together the gradient is exact, one after the other it rounds.
  const node = producerOf(tapeOf(tf), output)!;
  const [name, scores] = Object.entries(node.inputs)[0]!;
  node.gradient = () => ({ [name]: () => delta(output, kind).reshape(scores.shape) });
  return output;
}

/** The gradient of `run` by tensors; undefined for those without influence. Should it throw, nothing is left behind. */
export function differentiate(
  tf: Tf,
  run: () => Tensor,
  by: readonly Tensor[],
): { value: Tensor; grads: readonly (Tensor | undefined)[] } {
  try {
    return tf.engine().gradients(run, [...by], undefined, true);
  } catch (error) {
    tf.dispose(tapeOf(tf).flatMap(({ saved }) => saved ?? []));
    throw error;
  }
}
