/** What the outputs mean in a run, and the targets of one that the dense network teaches. */
import type { Dataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import type { RunContext } from "../run-context.ts";
import type { ResolvedPlan } from "../stages/plan.ts";
import { chooseTask } from "../task/choose-task.ts";
import { classification } from "../task/classification.ts";
import { distillation } from "../task/distillation.ts";
import type { Task } from "../task/task.ts";
import { taughtDataset } from "../task/taught-dataset.ts";
import type { PruneRequest } from "./prune.ts";

/** Calibration reads no targets; what is trained has a task. */
export function layersTask({ model, data, heldOut, task, retrain }: PruneRequest): {
  task: Task;
  data?: Dataset;
  heldOut?: Dataset;
  teacher?: string;
} {
  const chosen = task ?? (retrain ? chooseTask({ model, data }) : classification());
  return { task: chosen, ...(data ? { data } : {}), ...(heldOut ? { heldOut } : {}) };
}

/** The task of a run, and for one that the dense network teaches the data with its outputs. */
export async function taskOf(
  {
    model,
    data,
    heldOut,
    task,
    plan,
  }: Pick<PruneRequest, "model" | "data" | "heldOut" | "task"> & { plan: ResolvedPlan },
  ctx: RunContext,
): Promise<{ task: Task; data?: Dataset; heldOut?: Dataset; teacher?: string }> {
  const { distill, temperature } = plan;
  const chosen = distill && !task ? distillation({ temperature }) : (task ?? chooseTask({ model, data }));
  if (chosen !== task && chosen.name !== "classification" && data) noteTask(chosen, data, ctx);
  if (chosen.targetsFrom !== "teacher" || !data) {
    return { task: chosen, ...(data ? { data } : {}), ...(heldOut ? { heldOut } : {}) };
  }
  // Data that carry outputs already have a teacher of their own.
  if (hasOutputs(data, model)) return { task: chosen, data, ...(heldOut ? { heldOut } : {}) };
  const { data: taught, fingerprint } = await taughtDataset({ model, data, task: chosen }, ctx);
  const taughtToo = heldOut ? { heldOut: (await taughtDataset({ model, data: heldOut, task: chosen }, ctx)).data } : {};
  return { task: chosen, data: taught, teacher: fingerprint, ...taughtToo };
}

/** Says what was taken for the task where nobody named one. */
function noteTask({ name }: Task, { targets }: Dataset, ctx: RunContext): void {
  const reason = targets
    ? `for targets ${targets.map((target) => target.name).join(", ")}`
    : "because the data have no targets";
  ctx.report({ type: "note", level: "info", code: "task", message: `the task is ${name}, ${reason}` });
}

function hasOutputs({ targets = [] }: Dataset, { outputs }: Model): boolean {
  return outputs.length > 0 && outputs.every(({ name }) => targets.some((target) => target.name === name));
}
