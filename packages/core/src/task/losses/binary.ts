/**
 * Yes or no for every score: l = sum_k log(1 + exp z_k) - y_k z_k, y in [0, 1]: one score an example for two classes, several for labels
 * that do not exclude each other. Its Hessian in the scores is diagonal, p (1 - p) with p = 1 / (1 + exp(-z / T)).
 */
import { asFloats, type FloatTensors, sizeOfShape, type Tensors } from "../../data/tensor.ts";
import { labelOutOfRange, taskMismatch } from "../../errors.ts";
import type { Vec } from "../../problem/matrix.ts";
import { describePair, fittingTasks, readTensor, type TaskNames } from "../read-task-tensors.ts";
import type { Task } from "../task.ts";
import { diagonalFactor } from "./diagonal-factor.ts";

/**
 * Binary and multi-label classification. Output and target have as many numbers: [n] or [n, labels]; targets are 0, 1 or between.
 *
 * @example
 * const task = binary();
 */
export function binary(names: TaskNames = {}): Task {
  const name = "binary";
  const read = (
    outputs: FloatTensors,
    targets: Tensors | undefined,
  ): { output: string; z: Vec; y: Vec; size: number } => {
    const output = readTensor(outputs, { task: name, what: "output", name: names.output });
    const target = readTensor(targets, { task: name, what: "target", name: names.target });
    if (output.data.length !== target.data.length || output.shape[0] !== target.shape[0]) {
      throw taskMismatch({
        task: name,
        found: describePair(output, target),
        remedy: `it takes as many targets, each 0 or 1, as scores; ${fittingTasks(output, target)}`,
      });
    }
    const y = asFloats(target.data);
    const size = sizeOfShape(output.shape.slice(1));
    for (let i = 0; i < y.length; i++) {
      if (!(y[i]! >= 0 && y[i]! <= 1)) {
        throw labelOutOfRange({
          where: `task ${name}: ${target.name}`,
          index: Math.floor(i / size),
          label: y[i]!,
          classes: 2,
          remedy: "targets of this task are 0, 1 or between; the task regression takes other numbers",
        });
      }
    }
    return { output: output.name, z: output.data, y, size };
  };
  return {
    name,
    targetsFrom: "data",
    loss({ outputs, targets, delta }) {
      const { output, z, y } = read(outputs, targets);
      const slope = delta?.[output]?.data;
      let sum = 0;
      for (let i = 0; i < z.length; i++) {
        // log(1 + exp z) without overflow.
        sum += Math.max(z[i]!, 0) + Math.log1p(Math.exp(-Math.abs(z[i]!))) - y[i]! * z[i]!;
        if (slope) slope[i] = sigmoid(z[i]!) - y[i]!;
      }
      return { sum, count: z.length };
    },
    outputFactor({ outputs, temperature = 1 }) {
      const output = readTensor(outputs, { task: name, what: "output", name: names.output });
      const p = Float64Array.from(output.data, (z) => sigmoid(z / temperature));
      return diagonalFactor({
        output: output.name,
        size: sizeOfShape(output.shape.slice(1)),
        curvature: p.map((q) => q * (1 - q)),
        drawn: (random, i) => p[i]! - (random() < p[i]! ? 1 : 0),
      });
    },
    measures: [
      {
        name: "accuracy",
        unit: "%",
        better: "higher",
        add(outputs, targets) {
          const { z, y } = read(outputs, targets);
          let sum = 0;
          for (let i = 0; i < z.length; i++) if (z[i]! > 0 === y[i]! > 0.5) sum++;
          return { sum: 100 * sum, count: z.length };
        },
      },
    ],
  };
}

function sigmoid(z: number): number {
  return 1 / (1 + Math.exp(-z));
}
