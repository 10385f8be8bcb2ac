/** What the outputs mean in a run, and the targets of one that the dense network teaches. */
import type { Dataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { isPruneError } from "../prune-error.ts";
import { quietContext, type RunContext } from "../run-context.ts";
import type { ResolvedPlan } from "../stages/plan.ts";
import { chooseTask } from "../task/choose-task.ts";
import { classification } from "../task/losses/classification.ts";
import { distillation } from "../task/losses/distillation.ts";
import { noteTask } from "../task/note-task.ts";
import type { Task } from "../task/task.ts";
import { teacherDataset } from "../task/teacher-dataset.ts";
import { ifFinite } from "./measure-loss.ts";
import type { PruneRequest } from "./prune.ts";

/**
 * Calibration reads no targets; what is trained has a task, and what has targets can be compared with masks alone (`isCompared`), but for
 * those that the dense network would set.
 */
export function layersTask(
  { model, data, heldOut, task, retrain }: PruneRequest,
  ctx: RunContext,
): {
  task: Task;
  isCompared: boolean;
  data?: Dataset;
  heldOut?: Dataset;
  teacher?: string;
} {
  const targets = data?.targets?.length ?? 0;
  const isPlain = targets === 1 && model.outputs.length === 1;
  const chosen = task ?? (retrain || isPlain ? chooseTask({ model, data }) : undefined);
  if (chosen && chosen !== task && data) noteTask(chosen, data, ctx.report);
  const hasTargets = chosen?.targetsFrom === "inputs" || (chosen?.targetsFrom === "data" && targets > 0);
  return {
    task: chosen ?? classification(),
    isCompared: hasTargets && model.evaluate !== undefined,
    ...(data ? { data } : {}),
    ...(heldOut ? { heldOut } : {}),
  };
}

/**
 * Whether examples can be evaluated for a task that nobody named. Calibration works without labels, so labels that do not fit are said and
 * end no run.
 *
 * @throws what evaluating throws of anything but the examples' targets
 */
export async function fitsTask(
  { model, data, task }: { model: Model; data: Dataset; task: Task },
  ctx: RunContext,
): Promise<boolean> {
  try {
    await ifFinite(() => model.evaluate!(data, quietContext(ctx), { task }));
    return true;
  } catch (error) {
    if (!isPruneError(error) || !targetCodes.includes(error.code)) throw error;
    const message = `layers are not compared with their masks alone, because the targets do not fit the network: ${error.message}`;
    ctx.report({ type: "note", level: "warn", code: "not-compared", message });
    return false;
  }
}

/** Failures that are the targets'. */
const targetCodes: readonly string[] = ["ERR_LABEL_RANGE", "ERR_TASK", "ERR_SHAPE"];

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
  // Without data nothing reads a task, and several outputs would need one that names its own.
  const own = (): Task => (data || model.outputs.length < 2 ? chooseTask({ model, data }) : classification());
  const chosen = distill && !task ? distillation({ temperature }) : (task ?? own());
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
