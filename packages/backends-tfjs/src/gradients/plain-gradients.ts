/** Summed gradients by TensorFlow.js's own differentiation: the mean gradient, and rows of what leaves no factors. */
import type { FloatTensors } from "@secateur/core";
import { forwardHeads, type Head, type HeadReader, producerOf, readOutputsSync } from "../heads.ts";
import { type Tensor, type Tf, tapeOf } from "../tf.ts";

/** A differentiable computation over some weights. */
export interface Differentiable {
  /** By name; f32. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Runs the model. */
  readonly forward: () => readonly Tensor[];
  readonly reader: HeadReader;
  /** The outputs, where they were computed before: an engine on a GPU cannot be waited for within a gradient. */
  readonly outputs?: FloatTensors | undefined;
  /** The gradient of the summed loss at the outputs, or at their scores where those are read; in their shapes. */
  readonly delta: (outputs: FloatTensors) => FloatTensors;
}

/** The gradient of the summed loss by every weight, in stored layout; zeros where a weight has no influence. The caller owns all tensors. */
export function plainGradients(
  tf: Tf,
  spec: Differentiable,
): { readonly outputs: FloatTensors; readonly gradients: ReadonlyMap<string, Tensor> } {
  const { weights } = spec;
  let outputs: FloatTensors = {};
  const run = (): Tensor =>
    lossAtHeads(tf, spec, (_heads, read) => {
      outputs = read;
    });
  const { value, grads } = differentiate(tf, run, [...weights.values()]);
  value.dispose();
  const gradients = new Map([...weights].map(([name, tensor], i) => [name, grads[i] ?? tf.zeros(tensor.shape)]));
  return { outputs, gradients };
}

/**
 * Runs the model and returns one number whose backward pass starts with the loss's own gradient at every output.
 *
 * @param onForward - told what the outputs are, before the gradient is asked for
 */
export function lossAtHeads(
  tf: Tf,
  spec: Omit<Differentiable, "weights">,
  onForward: (heads: readonly Head[], outputs: FloatTensors) => void,
): Tensor {
  const { forward, reader, delta } = spec;
  const heads = forwardHeads(tf, forward);
  try {
    const outputs = spec.outputs ?? readOutputsSync(heads, reader);
    onForward(heads, outputs);
    const deltas = delta(outputs);
    const isZero = reader.names.map((name) => deltas[name]!.data.every((value: number) => value === 0));
    // Outputs that the loss does not depend on need no backward pass; a gradient that is zero everywhere still has its shape.
    const isAllZero = isZero.every(Boolean);
    const starts = heads.flatMap((head, h) => {
      const name = reader.names[h]!;
      if (isZero[h] && !isAllZero) return [];
      return [startBackward(tf, { head, atScores: !reader.asValues(name), delta: deltas[name]!.data })];
    });
    return starts.reduce((sum, start) => tf.add(sum, start));
  } finally {
    // The outputs themselves belong to the scope that computes the gradient.
    tf.dispose(heads.flatMap(({ scores }) => (scores ? [scores] : [])));
  }
}

/** A number, 0, whose slope at an output, or at the scores that it was computed from, is `delta`. */
function startBackward(
  tf: Tf,
  { head, atScores, delta }: { head: Head; atScores: boolean; delta: ArrayLike<number> },
): Tensor {
  const { output, scores } = head;
  const slope = (shape: readonly number[]): Tensor => tf.tensor(Float32Array.from(delta), [...shape]);
  const isBehind = atScores && scores !== undefined;
  const start = tf.customGrad((y) => ({
    value: tf.scalar(0),
    gradFunc: () => (isBehind ? tf.zerosLike(y as Tensor) : slope((y as Tensor).shape)),
  }));
  if (isBehind) {
    // Softmax and sigmoid go with the cross-entropy: through both together the gradient is exact, one after the other it rounds.
    const node = producerOf(tapeOf(tf), output)!;
    const [name, { shape }] = Object.entries(node.inputs)[0]!;
    const original = node.gradient!;
    node.gradient = (dys) => ({ [name]: () => original(dys)[name]!().add(slope(shape)) });
  }
  return start(output);
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
