/** The task that a model and data go together in, when nobody names one. */
import type { Dataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { classification } from "./classification.ts";
import { distillation } from "./distillation.ts";
import type { Task } from "./task.ts";

/**
 * Data with targets: classification. Data without: distillation, of class scores where the model says that it computes some, else
 * by squared error.
 */
export function chooseTask({ model, data }: { model: Pick<Model, "outputs">; data?: Dataset | undefined }): Task {
  if (data && !data.targets) {
    return distillation({ loss: model.outputs.every(({ classes = 0 }) => classes > 1) ? "kl" : "squared" });
  }
  return classification();
}
