/** Which task a run has: one for pruning and training, and one that says how good the result is. */
import {
  chooseTask,
  type Dataset,
  type Evaluation,
  noteTask,
  type RunContext,
  type Task,
  teacherDataset,
} from "@secateur/core";
import type { Session } from "../session.ts";
import type { PrunableModel } from "./prunable-model.ts";

/** A task, and how models are measured. */
export interface PosedTask {
  readonly task: Task;
  /**
   * Loss and measures on the data that were named for measuring: of the task; but of labels, where there are some, when the network is
   * led back to its own outputs.
   */
  evaluate(network: PrunableModel, ctx?: RunContext): Promise<Evaluation>;
  /** "calibration": there are no data set apart for testing, so results are measured on what the run works with. */
  readonly measuredOn: "test" | "calibration";
  /** The training data with the outputs of the dense network as targets where those are the task's, else as they are. */
  withTeacher(train: Dataset): Promise<Dataset>;
}

/**
 * Settles the task. For distillation the network must be the dense one: its outputs on the test data are taken now.
 *
 * @param spec.named - what the user named; default: what the model and the training data go together in
 * @throws ERR_TASK
 */
export async function poseTask(spec: {
  network: PrunableModel;
  data: { readonly train: Dataset; readonly test: Dataset };
  named: Task | undefined;
  session: Session;
}): Promise<PosedTask> {
  const { network, data, named, session } = spec;
  const task = named ?? chooseTask({ model: network, data: data.train });
  const withTeacher = async (dataset: Dataset): Promise<Dataset> =>
    task.targetsFrom === "teacher"
      ? (await teacherDataset({ model: network, data: dataset, task }, session.context())).data
      : dataset;
  const { measuredBy, test } =
    task.targetsFrom === "teacher" && data.test.targets
      ? { measuredBy: chooseTask({ model: network, data: data.test }), test: data.test }
      : { measuredBy: task, test: await withTeacher(data.test) };
  // What the network's file says is told where it is read.
  if (named === undefined && task !== network.taskFor?.(data.train)) noteTask(task, data.train, session.onEvent);
  return {
    task,
    withTeacher,
    measuredOn: data.train === data.test ? "calibration" : "test",
    evaluate: (model, ctx = session.context()) => model.evaluate(test, ctx, { task: measuredBy }),
  };
}
