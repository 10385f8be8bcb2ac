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

/**
 * Calibration reads no targets; what is trained has a task, and what has targets can be compared with masks alone (`isCompared`), but for
 * those that the dense network would set.
 */
export function layersTask({ model, data, heldOut, task, retrain }: PruneRequest): {
  task: Task;
  isCompared: boolean;
  data?: Dataset;
  heldOut?: Dataset;
  teacher?: string;
} {
  const targets = data?.targets?.length ?? 0;
  const isPlain = targets === 1 && model.outputs.length === 1;
  const chosen = task ?? (retrain || isPlain ? chooseTask({ model, data }) : undefined);
  const hasTargets = chosen?.targetsFrom === "inputs" || (chosen?.targetsFrom === "data" && targets > 0);
  return {
    task: chosen ?? classification(),
    isCompared: hasTargets && model.evaluate !== undefined,
    ...(data ? { data } : {}),
    ...(heldOut ? { heldOut } : {}),
  };
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
