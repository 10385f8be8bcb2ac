/** What a task's loss returned: a task may come from anywhere, and a wrong sum must not be told as a fault of the network. */
import type { FloatTensors } from "../data/tensor.ts";
import { sizeOfShape } from "../data/tensor.ts";
import { notFiniteLoss, notFiniteOutput, taskMismatch } from "../errors.ts";
import type { LossSum, OutputFactor, Task } from "./task.ts";

/** Whose loss, of which outputs. */
export interface LossOrigin {
  readonly task: Pick<Task, "name">;
  /** The model's name. */
  readonly model: string;
  readonly outputs: FloatTensors;
  /** The number of the example in a row of the outputs. */
  example(row: number): number;
}

/**
 * Returns the loss, which must be a sum and a count, both finite.
 *
 * @throws ERR_TASK for what is no { sum, count }; ERR_NOT_FINITE naming the example whose output is not finite, or the task where
 * all outputs are
 */
export function checkedLoss(loss: LossSum, origin: LossOrigin): LossSum {
  const { task, model, outputs, example } = origin;
  const fault = lossFault(loss);
  if (fault !== undefined) {
    throw taskMismatch({
      task: task.name,
      found: `that loss() returned ${fault}`,
      remedy: "tell its author: it returns { sum, count }",
    });
  }
  if (Number.isFinite(loss.sum) && Number.isFinite(loss.count)) return loss;
  const row = notFiniteRow(outputs);
  throw row === undefined ? notFiniteLoss(task.name, loss) : notFiniteOutput(model, example(row));
}

/** What is wrong with the form of a loss, whatever its numbers, to be put after "returned"; undefined: nothing. */
export function lossFault(loss: unknown): string | undefined {
  const { sum, count } = (loss ?? {}) as Partial<LossSum>;
  if (typeof sum === "number" && typeof count === "number") return undefined;
  return `${typeof loss === "object" ? "an object" : String(loss)} without numbers 'sum' and 'count'`;
}

/** What is wrong with the form of an output factor, to be put after "returned"; undefined: nothing. */
export function outputFactorFault(factor: unknown): string | undefined {
  const { columns, ...rest } = (factor ?? {}) as Partial<OutputFactor>;
  if (!Number.isSafeInteger(columns) || columns! < 1) {
    return `'columns' ${String(columns)}, which has to be a whole number of at least 1`;
  }
  const missing = (["times", "transposeTimes", "draw"] as const).find((key) => typeof rest[key] !== "function");
  return missing === undefined ? undefined : `something without ${missing}()`;
}

/** The first example with a number that is not finite in some output; 0 where all are. */
export function firstNotFinite(outputs: FloatTensors): number {
  return notFiniteRow(outputs) ?? 0;
}

function notFiniteRow(outputs: FloatTensors): number | undefined {
  let first: number | undefined;
  for (const { shape, data } of Object.values(outputs)) {
    const bad = data.findIndex((value: number) => !Number.isFinite(value));
    if (bad < 0) continue;
    const row = Math.floor(bad / sizeOfShape(shape.slice(1)));
    first = Math.min(first ?? row, row);
  }
  return first;
}
