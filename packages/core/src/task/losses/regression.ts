/**
 * Numbers: l = sum_k rho(z_k - t_k), rho(e) = e^2 / 2, or with a threshold d (Huber 1964)
 *   rho(e) = e^2 / 2 for |e| <= d,   d (|e| - d / 2) beyond,
 * whose Hessian in the outputs is the identity, with Huber's loss 0 where |e| > d.
 */
import { asFloats, type FloatTensors, sizeOfShape, type Tensors } from "../../data/tensor.ts";
import { badOption, taskMismatch } from "../../errors.ts";
import { describePair, fittingTasks, readTensor, type TaskNames } from "../read-task-tensors.ts";
import type { Measure, Task } from "../task.ts";
import { diagonalFactor } from "./diagonal-factor.ts";

/** Settings of {@link regression}. */
export interface RegressionOptions extends TaskNames {
  /** d, > 0: errors beyond it count linearly; default: none do. */
  readonly huber?: number | undefined;
}

/**
 * Regression. Output and target have as many numbers: [n] or [n, ...].
 *
 * @throws ERR_OPTION
 * @example
 * const task = regression({ huber: 1 });
 */
export function regression(options: RegressionOptions = {}): Task {
  const name = "regression";
  const { huber } = options;
  if (huber !== undefined && !(huber > 0 && Number.isFinite(huber))) {
    throw badOption(`task ${name}`, `option 'huber' is ${huber}; give a number above 0`, { huber });
  }
  const threshold = huber ?? Number.POSITIVE_INFINITY;
  /** Output minus target. */
  const errorsOf = (outputs: FloatTensors, targets: Tensors | undefined) => {
    const output = readTensor(outputs, { task: name, what: "output", name: options.output });
    const target = readTensor(targets, { task: name, what: "target", name: options.target });
    if (output.data.length !== target.data.length || output.shape[0] !== target.shape[0]) {
      throw taskMismatch({
        task: name,
        found: describePair(output, target),
        remedy: `it takes a target for every number of the output; ${fittingTasks(output, target)}`,
      });
    }
    const wanted = asFloats(target.data);
    return { output: output.name, errors: Float64Array.from(output.data, (value, i) => value - wanted[i]!) };
  };
  const measure = (
    spec: Pick<Measure, "name"> & { of: (error: number) => number; finish?: Measure["finish"] },
  ): Measure => ({
    ...{ name: spec.name, unit: "", better: "lower" },
    add(outputs, targets) {
      const { errors } = errorsOf(outputs, targets);
      return { sum: errors.reduce((sum, error) => sum + spec.of(error), 0), count: errors.length };
    },
    ...(spec.finish ? { finish: spec.finish } : {}),
  });
  return {
    name,
    ...(huber === undefined ? {} : { options: { huber } }),
    targetsFrom: "data",
    targetKind: "values",
    valuesOf: options.output === undefined ? "all" : [options.output],
    loss({ outputs, targets, delta }) {
      const { output, errors } = errorsOf(outputs, targets);
      const slope = delta?.[output]?.data;
      let sum = 0;
      errors.forEach((error, i) => {
        const size = Math.abs(error);
        sum += size <= threshold ? error ** 2 / 2 : threshold * (size - threshold / 2);
        // Math.max keeps NaN: damaged outputs stay noticeable.
        if (slope) slope[i] = Math.min(Math.max(error, -threshold), threshold);
      });
      return { sum, count: errors.length };
    },
    outputFactor({ outputs, targets }) {
      const output = readTensor(outputs, { task: name, what: "output", name: options.output });
      const spec = { output: output.name, size: sizeOfShape(output.shape.slice(1)) };
      if (huber === undefined) return diagonalFactor(spec);
      const { errors } = errorsOf(outputs, targets);
      return diagonalFactor({ ...spec, curvature: errors.map((error) => (Math.abs(error) <= threshold ? 1 : 0)) });
    },
    measures: [
      measure({ name: "rmse", of: (error) => error ** 2, finish: Math.sqrt }),
      measure({ name: "mean-absolute-error", of: Math.abs }),
    ],
  };
}
