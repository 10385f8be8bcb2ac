/** Losses of a classifier: values and predictions on the host, gradients at the model's output on the engine. */
import type { OutputKind } from "../output-kind.ts";
import { type Tensor, type Tf, withOwnTape } from "../tf.ts";

/** Losses by name. "model": the function that the model was compiled with, whatever it is. */
export const lossNames = ["cross-entropy", "binary-cross-entropy", "mse", "model"] as const;

/** One of {@link lossNames}. */
export type LossName = (typeof lossNames)[number];

/** What is computed from a model's outputs. */
export interface Loss {
  readonly name: LossName;
  /** The gradient of the summed loss at the scores of `kind`, in the shape of the output. */
  delta(tf: Tf, spec: { output: Tensor; kind: OutputKind; labels: Uint32Array }): Tensor;
  /** The loss of every example, in nats for the entropies. */
  values(spec: { tf: Tf; output: Float32Array; classes: number; kind: OutputKind; labels: Uint32Array }): Float64Array;
}

/** The loss function of a compiled LayersModel, as TensorFlow.js calls it. */
export type CompiledLoss = (target: Tensor, output: Tensor) => Tensor;

/** Probabilities below this count as this, in the logarithm only: f32 holds nothing smaller with full precision. */
const smallest = 1.2e-38;

/**
 * A loss by name.
 *
 * @param compiled - needed for "model"
 */
export function lossOf(name: LossName, compiled?: CompiledLoss): Loss {
  switch (name) {
    case "cross-entropy":
      return crossEntropy;
    case "binary-cross-entropy":
      return binaryCrossEntropy;
    case "mse":
      return meanSquaredError;
    case "model":
      return compiledLoss(compiled!);
    default:
      return name satisfies never;
  }
}

/** -log p of the label; at the scores p - onehot. */
const crossEntropy: Loss = {
  name: "cross-entropy",
  delta(tf, { output, kind, labels }) {
    return tf.tidy(() => {
      const p = kind === "softmax" ? output : tf.softmax(output);
      const target = oneHot(tf, output, labels);
      const others = p.mul(tf.sub(1, target));
      // The label's entry is minus the others' sum, which keeps its digits where p rounds to 1.
      return others.sub(target.mul(others.sum(-1, true)));
    });
  },
  values({ output, classes, kind, labels }) {
    return Float64Array.from(labels, (label, i) => {
      const row = output.subarray(i * classes, (i + 1) * classes);
      if (kind === "softmax")
        return -Math.log(Math.max(row[label]!, smallest)) + (Number.isFinite(row[label]!) ? 0 : Number.NaN);
      const most = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      const sum = row.reduce((total, value) => total + Math.exp(value - most), 0);
      return most + Math.log(sum) - row[label]!;
    });
  },
};

/** Mean over the outputs of -t log p - (1 - t) log(1 - p); a single output stands for class 1 of two. */
const binaryCrossEntropy: Loss = {
  name: "binary-cross-entropy",
  delta(tf, { output, kind, labels }) {
    return tf.tidy(() => {
      const p = kind === "sigmoid" ? output : tf.sigmoid(output);
      return p.sub(target(tf, output, labels)).div(output.shape[1]!);
    });
  },
  values({ output, classes, kind, labels }) {
    return Float64Array.from(labels, (label, i) => {
      let sum = 0;
      for (let c = 0; c < classes; c++) {
        const value = output[i * classes + c]!;
        const isOn = classes === 1 ? label === 1 : label === c;
        if (kind === "sigmoid") sum -= Math.log(Math.max(isOn ? value : 1 - value, smallest));
        else sum += Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value))) - (isOn ? value : 0);
        if (!Number.isFinite(value)) sum = Number.NaN;
      }
      return sum / classes;
    });
  },
};

/** Mean over the outputs of (y - t)^2. */
const meanSquaredError: Loss = {
  name: "mse",
  delta(tf, { output, kind, labels }) {
    return tf.tidy(() => {
      const atOutput = output.sub(target(tf, output, labels)).mul(2 / output.shape[1]!);
      return throughOutput(tf, output, kind, atOutput);
    });
  },
  values({ output, classes, labels }) {
    return Float64Array.from(labels, (label, i) => {
      let sum = 0;
      for (let c = 0; c < classes; c++) {
        sum += (output[i * classes + c]! - (classes === 1 ? label : label === c ? 1 : 0)) ** 2;
      }
      return sum / classes;
    });
  },
};

function compiledLoss(compiled: CompiledLoss): Loss {
  return {
    name: "model",
    delta(tf, { output, kind, labels }) {
      return tf.tidy(() => {
        const wanted = target(tf, output, labels);
        const slope = tf.grad((y) => compiled(wanted, y as Tensor).sum());
        const atOutput = withOwnTape(tf, () => slope(output));
        return throughOutput(tf, output, kind, atOutput);
      });
    },
    values({ tf, output, classes, labels }) {
      const losses = tf.tidy(() => {
        const y = tf.tensor2d(output, [labels.length, classes]);
        return compiled(target(tf, y, labels), y);
      });
      const values = Float64Array.from(losses.dataSync());
      losses.dispose();
      return values;
    },
  };
}

/** From the gradient at probabilities to the one at their scores. */
function throughOutput(tf: Tf, p: Tensor, kind: OutputKind, gradient: Tensor): Tensor {
  switch (kind) {
    case "softmax": {
      const weighted = gradient.mul(p);
      return weighted.sub(p.mul(weighted.sum(-1, true)));
    }
    case "sigmoid":
      return gradient.mul(p).mul(tf.sub(1, p));
    case "scores":
      return gradient;
    default:
      return kind satisfies never;
  }
}

/** The labels as outputs: one-hot rows, or the label itself where there is but one output. */
function target(tf: Tf, output: Tensor, labels: Uint32Array): Tensor {
  if (output.shape[1] !== 1) return oneHot(tf, output, labels);
  const values = new Float32Array(output.shape[0]!);
  values.set(labels);
  return tf.tensor2d(values, [values.length, 1]);
}

/** Rows without a label, which fill up a batch of fixed size, are zero. */
function oneHot(tf: Tf, output: Tensor, labels: Uint32Array): Tensor {
  const [rows, classes] = output.shape as [number, number];
  const values = new Float32Array(rows * classes);
  labels.forEach((label, i) => {
    values[i * classes + label] = 1;
  });
  return tf.tensor2d(values, [rows, classes]);
}

/** How many examples are classified as labelled; a tie goes to the lower class, a single output is class 1 from 1/2 on. */
export function countCorrect(spec: {
  output: Float32Array;
  classes: number;
  kind: OutputKind;
  loss: LossName;
  labels: Uint32Array;
}): number {
  const { output, classes, kind, loss, labels } = spec;
  // Scores of a single output are judged before the sigmoid.
  const threshold = kind === "scores" && loss === "binary-cross-entropy" ? 0 : 0.5;
  let correct = 0;
  labels.forEach((label, i) => {
    let best = 0;
    if (classes === 1) best = output[i]! > threshold ? 1 : 0;
    for (let c = 1; c < classes; c++) if (output[i * classes + c]! > output[i * classes + best]!) best = c;
    if (best === label) correct++;
  });
  return correct;
}
