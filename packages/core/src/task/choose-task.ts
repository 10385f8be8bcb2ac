/** The task that a model and data go together in, when nobody names one. */
import type { Dataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import type { TensorSpec } from "../data/tensor.ts";
import { taskMismatch } from "../errors.ts";
import { binary } from "./losses/binary.ts";
import { classification } from "./losses/classification.ts";
import { distillation } from "./losses/distillation.ts";
import { positionClassification } from "./losses/position-classification.ts";
import { regression } from "./losses/regression.ts";
import { weightedTasks } from "./losses/weighted-tasks.ts";
import { tasksFor } from "./read-task-tensors.ts";
import type { Task } from "./task.ts";

/**
 * What the model says it was trained for, where its file tells. Else by the only output and the only target: class numbers make
 * classification, by example or by position; as many whole numbers as scores binary, or regression where they go beyond 0 and 1; other
 * numbers regression. Data without targets make distillation: of class scores where the model says that it computes some,
 * else by squared error, of all outputs alike. Where nothing else is known, classification.
 *
 * @throws ERR_TASK for several outputs or targets, among which somebody must choose
 */
export function chooseTask({
  model,
  data,
}: {
  model: Pick<Model, "outputs" | "taskFor">;
  data?: Dataset | undefined;
}): Task {
  const { outputs } = model;
  if (data && !data.targets) {
    const [only] = outputs;
    if (only && outputs.length === 1) return distillation({ loss: distillationLoss(only) });
    return weightedTasks(
      Object.fromEntries(
        outputs.map((output) => [
          output.name,
          { task: distillation({ output: output.name, loss: distillationLoss(output) }) },
        ]),
      ),
    );
  }
  const own = data && model.taskFor?.(data);
  if (own) return own;
  const targets = data?.targets ?? [];
  if (outputs.length > 1 || targets.length > 1) {
    const named = (what: string, specs: readonly TensorSpec[]): string =>
      `${specs.length} ${what}(s): ${specs.map(({ name }) => name).join(", ")}`;
    throw taskMismatch({
      task: "of this model and these data",
      found: `${named("output", outputs)} and ${named("target", targets)}`,
      remedy:
        "name a task with its output and target, such as classification:output=NAME,target=NAME; several with weights are joined by +",
    });
  }
  const [output, target] = [outputs[0], targets[0]];
  if (!output || !target) return classification();
  const isWhole = target.classes !== undefined || !target.dtype.startsWith("f");
  // Extents that vary are taken for equal: those of outputs and of their targets usually vary together.
  const shapeOf = ({ shape }: TensorSpec): readonly number[] => [0, ...shape.map((extent) => extent ?? -1)];
  const [likeliest] = tasksFor(
    { shape: shapeOf(output) },
    { shape: shapeOf(target) },
    isWhole ? "whole" : "fractional",
  );
  switch (likeliest) {
    case "position-classification":
      return positionClassification();
    case "binary":
      // Whole numbers beyond 0 and 1 are no answers of yes or no.
      return (target.classes ?? 2) > 2 ? regression() : binary();
    case "regression":
      return regression();
    default:
      // What does not fit is refused with the shapes when it is measured.
      return classification();
  }
}

function distillationLoss({ classes = 0 }: TensorSpec): "kl" | "squared" {
  return classes > 1 ? "kl" : "squared";
}
