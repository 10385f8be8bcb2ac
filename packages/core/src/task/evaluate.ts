/** Loss and measures of a model over a dataset. */
import { type Batch, batches, type Dataset } from "../data/dataset.ts";
import type { FloatTensors, Tensors } from "../data/tensor.ts";
import type { RunContext } from "../run-context.ts";
import { checkedLoss } from "./check-loss.ts";
import type { Measure, Task } from "./task.ts";

/** A measure over a dataset. */
export interface MeasuredValue extends Pick<Measure, "name" | "unit" | "better"> {
  readonly value: number;
}

/** How a model does on a dataset. */
export interface Evaluation {
  /** Percent of examples (positions) whose largest score is the label's; NaN for tasks that have no such measure. */
  readonly accuracy: number;
  /** Mean loss over what counts; cross-entropies are in nats. */
  readonly loss: number;
  /** How many examples were evaluated. */
  readonly examples: number;
  /** The task's name. */
  readonly task: string;
  /** In the task's order; the first is the one that summaries show. */
  readonly measures: readonly MeasuredValue[];
}

/** The number that summaries show of an evaluation: the task's first measure, or the loss where it measures nothing. */
export function mainMeasure({ measures, loss }: Pick<Evaluation, "measures" | "loss">): MeasuredValue {
  return measures[0] ?? { name: "loss", unit: "", better: "lower", value: loss };
}

/** By how much a value is better than another, in the unit of the measure; negative where it is worse. */
export function gainOver(before: number, { value, better }: Pick<MeasuredValue, "value" | "better">): number {
  return better === "higher" ? value - before : before - value;
}

/** Targets of a batch for a task: the data's, or for tasks that predict the inputs those. */
export function targetsOf(task: Task, batch: Batch): Tensors | undefined {
  return task.targetsFrom === "inputs" ? batch.inputs : batch.targets;
}

/**
 * Evaluates outputs batch by batch: what a model's `evaluate` is made of.
 *
 * @param spec.model - name, for messages
 * @param spec.batchSize - examples a forward pass
 * @param spec.outputsOf - runs a batch
 * @throws ERR_TASK, ERR_LABEL_RANGE, ERR_NOT_FINITE, ERR_ABORTED
 */
export async function evaluateBatches(
  spec: {
    model: string;
    data: Dataset;
    task: Task;
    batchSize: number;
    outputsOf(batch: Batch): FloatTensors | Promise<FloatTensors>;
  },
  ctx: RunContext,
): Promise<Evaluation> {
  const { model, data, task, batchSize, outputsOf } = spec;
  const { kernels } = ctx;
  const sums = task.measures.map(() => ({ sum: 0, count: 0 }));
  let [loss, count, seen] = [0, 0, 0];
  for await (const batch of batches(data, batchSize)) {
    const targets = targetsOf(task, batch);
    const outputs = await outputsOf(batch);
    const origin = { task, model, outputs, example: (row: number) => seen + row };
    const part = checkedLoss(task.loss({ outputs, targets, kernels }), origin);
    loss += part.sum;
    count += part.count;
    task.measures.forEach((measure, m) => {
      const own = measure.add(outputs, targets);
      sums[m] = { sum: sums[m]!.sum + own.sum, count: sums[m]!.count + own.count };
    });
    seen += batch.size;
    await ctx.tick({ task: "evaluate", done: seen, total: data.size });
  }
  const measures = task.measures.map(({ name, unit, better, finish }, m): MeasuredValue => {
    const mean = sums[m]!.sum / sums[m]!.count;
    return { name, unit, better, value: finish ? finish(mean) : mean };
  });
  const accuracy = measures.find(({ name }) => name === "accuracy")?.value ?? Number.NaN;
  return { accuracy, loss: loss / count, examples: seen, task: task.name, measures };
}
