/**
 * One class a position: the cross-entropy of classification at every position of an example (a token's tag, a pixel's class), summed
 * over the positions that count. Its Hessian is block-diagonal over positions, each block diag(p) - p p'.
 */
import { taskMismatch } from "../../errors.ts";
import { describePair, fittingTasks, readLabels, readTensor, type TaskNames } from "../read-task-tensors.ts";
import type { LossCall, Task } from "../task.ts";
import { type ClassRows, classRows, type LabelledRows, rowAccuracy, rowFactor, rowLoss } from "./row-classes.ts";

/** Settings of {@link positionClassification}. */
export interface PositionClassificationOptions extends TaskNames {
  /** The label of positions that do not count; default -100, PyTorch's. Masks of pixels often have 255. */
  readonly ignore?: number | undefined;
}

/**
 * Classification by position. The output is [n, ..., classes], or [n, classes, ...] where only that fits; the target [n, ...] holds a
 * class number a position.
 *
 * @example
 * const task = positionClassification({ ignore: 255 });
 */
export function positionClassification(options: PositionClassificationOptions = {}): Task {
  const name = "position-classification";
  const { ignore = -100 } = options;
  const read = ({ outputs, targets }: Pick<LossCall, "outputs" | "targets">): LabelledRows => {
    const output = readTensor(outputs, { task: name, what: "output", name: options.output });
    const target = readTensor(targets, { task: name, what: "target", name: options.target });
    const [wanted, given] = [target.shape.join(), output.shape];
    const isLast = given.slice(0, -1).join() === wanted;
    const isFirst = !isLast && [given[0], ...given.slice(2)].join() === wanted;
    if (given.length < 2 || !(isLast || isFirst)) {
      throw taskMismatch({
        task: name,
        found: describePair(output, target),
        remedy: `it takes scores [n, ..., classes] or [n, classes, ...] and class numbers [n, ...]; ${fittingTasks(output, target)}`,
      });
    }
    const rows: ClassRows = classRows(output, isFirst);
    const labels = readLabels(target, { task: name, classes: rows.scores.cols, ignore });
    return { ...rows, labels: Int32Array.from(labels, (label) => (label === ignore ? -1 : label)) };
  };
  return {
    name,
    options: { ignore },
    targetsFrom: "data",
    loss: (call) => rowLoss(read(call), call.kernels, call.delta),
    outputFactor(call) {
      const rows = read(call);
      return rowFactor(rows, { labels: rows.labels, temperature: call.temperature });
    },
    measures: [rowAccuracy((outputs, targets) => read({ outputs, targets }))],
  };
}
