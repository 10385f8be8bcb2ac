/**
 * The next token of a sequence: at position t of scores [n, positions, tokens] the cross-entropy with the input token at t + 1; the last
 * position, which has no next one, does not count. No labels: the inputs are the targets.
 */
import { sizeOfShape, type Tensors } from "../../data/tensor.ts";
import { taskMismatch } from "../../errors.ts";
import { referenceKernels } from "../../kernels/reference-kernels.ts";
import { describePair, readLabels, readTensor } from "../read-task-tensors.ts";
import type { LossCall, Task } from "../task.ts";
import { classRows, type LabelledRows, rowAccuracy, rowFactor, rowLoss } from "./row-classes.ts";

/** Settings of {@link nextToken}. */
export interface NextTokenOptions {
  /** Name of the output with the scores; default: the only one. */
  readonly output?: string | undefined;
  /** Name of the input with the tokens; default: the only one, or "input_ids". */
  readonly input?: string | undefined;
  /** A token that is never to be predicted, such as padding; default: none. */
  readonly ignore?: number | undefined;
}

/**
 * Next-token prediction, with perplexity = exp(mean loss in nats).
 *
 * @example
 * const task = nextToken({ ignore: 0 });
 */
export function nextToken(options: NextTokenOptions = {}): Task {
  const name = "next-token";
  const { ignore } = options;
  const read = ({ outputs, targets }: Pick<LossCall, "outputs" | "targets">): LabelledRows => {
    const output = readTensor(outputs, { task: name, what: "output", name: options.output });
    const tokens = readTensor(targets, { task: name, what: "target", name: options.input ?? tokensOf(targets) });
    const [examples = 1, positions = 1] = output.shape;
    if (output.shape.length !== 3 || tokens.shape[0] !== examples || sizeOfShape(tokens.shape.slice(1)) !== positions) {
      throw taskMismatch({
        task: name,
        found: describePair(output, tokens),
        remedy:
          "it takes scores [n, positions, tokens] and an input [n, positions] of token numbers; name both where there are several",
      });
    }
    const rows = classRows(output);
    const given = readLabels(tokens, { task: name, classes: rows.scores.cols, ignore });
    const labels = new Int32Array(rows.scores.rows).fill(-1);
    for (let row = 0; row < labels.length; row++) {
      if ((row + 1) % positions !== 0 && given[row + 1] !== ignore) labels[row] = given[row + 1]!;
    }
    return { ...rows, labels };
  };
  return {
    name,
    options: { ...options },
    targetsFrom: "inputs",
    loss: (call) => rowLoss(read(call), call.kernels, call.delta),
    outputFactor(call) {
      const rows = read(call);
      return rowFactor(rows, { labels: rows.labels, temperature: call.temperature });
    },
    measures: [
      {
        name: "perplexity",
        unit: "",
        better: "lower",
        add: (outputs, targets) => rowLoss(read({ outputs, targets }), referenceKernels, undefined),
        finish: Math.exp,
      },
      rowAccuracy((outputs, targets) => read({ outputs, targets })),
    ],
  };
}

function tokensOf(inputs: Tensors | undefined): string | undefined {
  return inputs && "input_ids" in inputs ? "input_ids" : undefined;
}
