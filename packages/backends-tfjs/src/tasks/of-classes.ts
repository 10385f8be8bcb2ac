/** Class numbers for losses that compare every output with a number: as outputs, one-hot. */
import { type FloatTensors, labelOutOfRange, type Measure, type Task, type Tensor, type Tensors } from "@secateur/core";

/**
 * A task over outputs [n, columns] whose targets are class numbers [n]: a row with a one at the class, or the number itself where there is
 * but one column. Measures the accuracy first: the largest output, the lower class where two are equal; a single one from `threshold` on.
 *
 * @param spec.threshold - of a single output, between its class 0 and its class 1
 */
export function ofClasses(inner: Task, spec: { output: string; threshold: number }): Task {
  const { output, threshold } = spec;
  const labelsOf = (targets: Tensors | undefined): Tensor => Object.values(targets ?? {})[0]!;
  const expanded = (outputs: FloatTensors, targets: Tensors | undefined): Tensors | undefined => {
    if (!targets) return undefined;
    const { shape } = outputs[output]!;
    const columns = shape.at(-1) ?? 1;
    const data = new Float32Array(shape[0]! * columns);
    eachLabel(labelsOf(targets), columns, (label, i) => {
      if (columns === 1) data[i] = label;
      else data[i * columns + label] = 1;
    });
    return { [output]: { shape, data } };
  };
  const accuracy: Measure = {
    name: "accuracy",
    unit: "%",
    better: "higher",
    add(outputs, targets) {
      const { shape, data } = outputs[output]!;
      const columns = shape.at(-1) ?? 1;
      let correct = 0;
      eachLabel(labelsOf(targets), columns, (label, i) => {
        let best = 0;
        if (columns === 1) best = data[i]! > threshold ? 1 : 0;
        for (let c = 1; c < columns; c++) if (data[i * columns + c]! > data[i * columns + best]!) best = c;
        if (best === label) correct++;
      });
      return { sum: 100 * correct, count: shape[0]! };
    },
  };
  return {
    ...inner,
    options: { ...inner.options, targets: "class numbers" },
    loss: (call) => inner.loss({ ...call, targets: expanded(call.outputs, call.targets) }),
    outputFactor: (call) => inner.outputFactor({ ...call, targets: expanded(call.outputs, call.targets) }),
    measures: [
      accuracy,
      ...inner.measures
        .filter(({ name }) => name !== "accuracy")
        .map((measure) => ({
          ...measure,
          add: (outputs: FloatTensors, targets: Tensors | undefined) =>
            measure.add(outputs, expanded(outputs, targets)),
        })),
    ],
  };
}

/** @throws ERR_LABEL_RANGE */
function eachLabel({ data }: Tensor, columns: number, visit: (label: number, i: number) => void): void {
  const classes = Math.max(2, columns);
  for (let i = 0; i < data.length; i++) {
    const label = Number(data[i]);
    if (!(Number.isInteger(label) && label >= 0 && label < classes)) {
      throw labelOutOfRange({ where: "labels", index: i, label, classes });
    }
    visit(label, i);
  }
}
