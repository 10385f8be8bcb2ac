/**
 * One class an example: the cross-entropy l = log sum_k exp(z_k) - z_y of scores z [n, classes] with labels y [n]. Its Hessian
 * in the scores is diag(p) - p p', p = softmax(z), with the root (Schraudolph 2002)
 *   R = (I - p 1') diag(sqrt p):   R u = q .* u - p (q'u),   R't = q .* (t - p't),   q = sqrt p.
 * Drawn slopes are p - onehot(y), y drawn from p (the true Fisher: Martens 2020). A temperature T replaces p by softmax(z / T).
 */
import { checkNumber } from "../../check-option.ts";
import { asMatrix } from "../../data/tensor.ts";
import { taskMismatch } from "../../errors.ts";
import type { Mat } from "../../problem/matrix.ts";
import { describePair, fittingTasks, readLabels, readTensor, type TaskNames } from "../read-task-tensors.ts";
import type { LossCall, Measure, Task } from "../task.ts";
import { crossEntropyFactor } from "./cross-entropy-factor.ts";
import { largestOfRows } from "./softmax.ts";

/** Settings of {@link classification}. */
export interface ClassificationOptions extends TaskNames {
  /** Also measure how often the label is among this many largest scores, > 1; default: only accuracy. */
  readonly top?: number | undefined;
}

/**
 * Classification by example. The output is [n, classes] scores (extents of 1 aside), the target [n] class numbers.
 *
 * @throws ERR_OPTION
 * @example
 * const task = classification({ top: 5 });
 */
export function classification(names: ClassificationOptions = {}): Task {
  const name = "classification";
  const { top } = names;
  if (top !== undefined) checkNumber(`task ${name}`, "top", top, { least: 2, whole: true });
  const read = ({ outputs, targets }: Pick<LossCall, "outputs" | "targets">) => {
    const output = readTensor(outputs, { task: name, what: "output", name: names.output });
    const target = readTensor(targets, { task: name, what: "target", name: names.target });
    const scores = asMatrix(output);
    if (scores.cols < 2 || target.data.length !== scores.rows || output.shape.slice(2).some((extent) => extent !== 1)) {
      throw taskMismatch({
        task: name,
        found: describePair(output, target),
        remedy: `it takes scores [n, classes] of two or more classes and one class number an example; ${fittingTasks(output, target)}`,
      });
    }
    return { scores, output: output.name, labels: readLabels(target, { task: name, classes: scores.cols }) };
  };
  return {
    name,
    targetsFrom: "data",
    loss(call) {
      const { scores, output, labels } = read(call);
      const delta = call.delta?.[output];
      const sum = call.kernels.softmaxCrossEntropy({
        logits: scores,
        labels: Uint32Array.from(labels),
        loss: new Float64Array(scores.rows),
        ...(delta ? { delta: asMatrix(delta) } : {}),
      });
      return { sum, count: scores.rows };
    },
    outputFactor({ outputs, temperature }) {
      const output = readTensor(outputs, { task: name, what: "output", name: names.output });
      return crossEntropyFactor({ output: output.name, scores: asMatrix(output), temperature });
    },
    measures: [accuracy(read), ...(top === undefined ? [] : [accuracyAmong(top, read)])],
  };
}

type Read = (call: Pick<LossCall, "outputs" | "targets">) => {
  readonly scores: Mat;
  readonly labels: ArrayLike<number>;
};

/** Percent of examples whose label's score is beaten by fewer than `top` others; a tie goes to the lower class. */
function accuracyAmong(top: number, read: Read): Measure {
  return {
    name: `top-${top}`,
    unit: "%",
    better: "higher",
    add(outputs, targets) {
      const { scores, labels } = read({ outputs, targets });
      const { cols, data } = scores;
      let sum = 0;
      for (let i = 0; i < labels.length; i++) {
        const [start, own] = [i * cols, data[i * cols + labels[i]!]!];
        let before = 0;
        for (let c = 0; c < cols; c++) {
          if (data[start + c]! > own || (data[start + c] === own && c < labels[i]!)) before++;
        }
        if (before < top) sum++;
      }
      return { sum: 100 * sum, count: labels.length };
    },
  };
}

function accuracy(read: Read): Measure {
  return {
    name: "accuracy",
    unit: "%",
    better: "higher",
    add(outputs, targets) {
      const { scores, labels } = read({ outputs, targets });
      let sum = 0;
      largestOfRows(scores.data, scores.cols).forEach((label, i) => {
        if (label === labels[i]) sum++;
      });
      return { sum: 100 * sum, count: labels.length };
    },
  };
}
