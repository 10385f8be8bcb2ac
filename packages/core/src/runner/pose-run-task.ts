/** What the outputs mean in a run, and the targets of one that the dense network teaches. */
import type { Dataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import type { RunContext } from "../run-context.ts";
import type { ResolvedPlan } from "../stages/plan.ts";
import { chooseTask } from "../task/choose-task.ts";
import { classification } from "../task/losses/classification.ts";
import { distillation } from "../task/losses/distillation.ts";
import { noteTask } from "../task/note-task.ts";
import type { Task } from "../task/task.ts";
import { teacherDataset } from "../task/teacher-dataset.ts";
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
  if (chosen !== task && data) noteTask(chosen, data, ctx.report);
  if (chosen.targetsFrom !== "teacher" || !data) {
    return { task: chosen, ...(data ? { data } : {}), ...(heldOut ? { heldOut } : {}) };
  }
  // Data that carry outputs already have a teacher of their own.
  if (hasOutputs(data, model)) return { task: chosen, data, ...(heldOut ? { heldOut } : {}) };
  const { data: withTeacher, fingerprint } = await teacherDataset({ model, data, task: chosen }, ctx);
  const heldOutToo = heldOut
    ? { heldOut: (await teacherDataset({ model, data: heldOut, task: chosen }, ctx)).data }
    : {};
  return { task: chosen, data: withTeacher, teacher: fingerprint, ...heldOutToo };
}

function hasOutputs({ targets = [] }: Dataset, { outputs }: Model): boolean {
  return outputs.length > 0 && outputs.every(({ name }) => targets.some((target) => target.name === name));
}
