/**
 * No labels: the outputs of the dense network are the targets. For class scores z of the pruned network and t of the dense one
 *   l = T^2 KL(q || p),   q = softmax(t / T),   p = softmax(z / T)        (Hinton, Vinyals and Dean 2015; T^2 keeps slopes of one size)
 * with slope T (p - q) and Hessian diag(p) - p p' in z, that of the cross-entropy at temperature T; for other outputs
 *   l = 1/2 |z - t|^2.
 * At the dense network both losses and their slopes are zero, while their Hessians are not.
 */
import { type FloatTensors, sizeOfShape, type Tensor, type Tensors } from "../../data/tensor.ts";
import { badOption, taskMismatch } from "../../errors.ts";
import { matrix, type Vec } from "../../problem/matrix.ts";
import { describePair, readTensor } from "../read-task-tensors.ts";
import type { Task } from "../task.ts";
import { crossEntropyFactor } from "./cross-entropy-factor.ts";
import { diagonalFactor } from "./diagonal-factor.ts";
import { largestOfRows, softmaxRows } from "./softmax.ts";

/** Settings of {@link distillation}. */
export interface DistillationOptions {
  /** "kl" takes the output's last dimension as class scores, "squared" its numbers as they are; default "kl". */
  readonly loss?: "kl" | "squared" | undefined;
  /** T, > 0; default 1. Only for "kl". */
  readonly temperature?: number | undefined;
  /** Which output is compared; default: the only one. */
  readonly output?: string | undefined;
}

/**
 * Leads the pruned network back to what the dense one computed. Its targets are outputs under the names they have; see teacherDataset.
 *
 * @throws ERR_OPTION
 */
export function distillation(options: DistillationOptions = {}): Task {
  const name = "distillation";
  const { loss = "kl", temperature = 1 } = options;
  if (!(temperature > 0 && Number.isFinite(temperature))) {
    throw badOption(`task ${name}`, `option 'temperature' is ${temperature}; give a number above 0`, { temperature });
  }
  const isKl = loss === "kl";
  const readOutput = (outputs: FloatTensors) =>
    readTensor(outputs, { task: name, what: "output", name: options.output });
  const read = (outputs: FloatTensors, targets: Tensors | undefined) => {
    const output = readOutput(outputs);
    const target = readTensor(targets, { task: name, what: "target", name: output.name });
    if (target.data.length !== output.data.length) {
      throw taskMismatch({
        task: name,
        found: describePair(output, target),
        remedy: "its targets are the outputs of the dense network; make them with teacherDataset",
      });
    }
    return { output, teacher: target.data as Vec, classes: isKl ? lastExtent(output) : 1 };
  };
  return {
    name,
    targetsFrom: "teacher",
    ...(isKl ? {} : { valuesOf: options.output === undefined ? ("all" as const) : [options.output] }),
    options: { loss, ...(isKl ? { temperature } : {}) },
    loss({ outputs, targets, delta }) {
      const { output, teacher, classes } = read(outputs, targets);
      const slope = delta?.[output.name]?.data;
      const sum = isKl
        ? divergence({ scores: output.data, teacher, classes, temperature, slope })
        : halfSquares({ values: output.data, teacher, slope });
      return { sum, count: isKl ? output.data.length / classes : (output.shape[0] ?? 1) };
    },
    outputFactor({ outputs, temperature: softened = 1 }) {
      const output = readOutput(outputs);
      if (!isKl) return diagonalFactor({ output: output.name, size: sizeOfShape(output.shape.slice(1)) });
      const classes = lastExtent(output);
      const rows = output.data.length / classes;
      return crossEntropyFactor({
        output: output.name,
        scores: matrix(rows, classes, output.data),
        // Whichever is softer: the loss's own temperature, or what the curvature asks for.
        temperature: Math.max(temperature, softened),
        rowsPerExample: rows / (output.shape[0] ?? 1),
      });
    },
    measures: [
      ...(isKl
        ? [
            {
              name: "agreement",
              unit: "%",
              better: "higher" as const,
              add(outputs: FloatTensors, targets: Tensors | undefined) {
                const { output, teacher, classes } = read(outputs, targets);
                const [own, wanted] = [largestOfRows(output.data, classes), largestOfRows(teacher, classes)];
                return { sum: 100 * own.filter((label, i) => label === wanted[i]).length, count: own.length };
              },
            },
          ]
        : [
            {
              name: "rmse-to-dense",
              unit: "",
              better: "lower" as const,
              add(outputs: FloatTensors, targets: Tensors | undefined) {
                const { output, teacher } = read(outputs, targets);
                return { sum: 2 * halfSquares({ values: output.data, teacher }), count: teacher.length };
              },
              finish: Math.sqrt,
            },
          ]),
    ],
  };
}

function lastExtent({ shape }: Tensor): number {
  return shape.at(-1) ?? 1;
}

function divergence(spec: {
  scores: Vec;
  teacher: Vec;
  classes: number;
  temperature: number;
  slope: Vec | undefined;
}): number {
  const { scores, teacher, classes, temperature, slope } = spec;
  const p = softmaxRows(scores, classes, temperature);
  const q = softmaxRows(teacher, classes, temperature);
  let sum = 0;
  for (let start = 0; start < p.length; start += classes) {
    let offset: number | undefined;
    for (let i = start; i < start + classes; i++) {
      const [wanted, found] = [q[i]!, p[i]!];
      if (slope) slope[i] = temperature * (found - wanted);
      // NaN must not be skipped: it is how damaged outputs are noticed.
      if (wanted <= 0) {
        if (Number.isNaN(found)) sum = Number.NaN;
      } else if (found === 0) {
        // Too small to be told from 0: an output that is far off costs much, and not infinitely much. Taken once a row, since many may be.
        offset ??= logOfSum(scores.subarray(start, start + classes), temperature);
        sum += wanted * (Math.log(wanted) - (scores[i]! / temperature - offset));
      } else sum += wanted * Math.log(wanted / found);
    }
  }
  return temperature ** 2 * sum;
}

/** log of the sum of exp(scores / temperature), which may be larger than any number. */
function logOfSum(scores: Vec, temperature: number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const score of scores) most = Math.max(most, score);
  let sum = 0;
  for (const score of scores) sum += Math.exp((score - most) / temperature);
  return most / temperature + Math.log(sum);
}

function halfSquares({ values, teacher, slope }: { values: Vec; teacher: Vec; slope?: Vec | undefined }): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const error = values[i]! - teacher[i]!;
    if (slope) slope[i] = error;
    sum += (error * error) / 2;
  }
  return sum;
}
