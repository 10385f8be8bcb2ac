/** What trains a model between prunings: networks of our own layers with all of their tensors, ONNX graphs with their weights. */
import type { Dataset, Retrainer, Task } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { assertKnownOperators, createGraphRetrainer, type GraphModel } from "@secateur/graph";
import { createRetrainer, type Network } from "@secateur/nn";
import { averaged, soup, type TrainMember } from "@secateur/sparse-training";
import { flagWithoutEffect } from "../../errors.ts";
import type { PrunableModel } from "../../prune/prunable-model.ts";
import { augmentationOf } from "../norm/batch-norm.ts";
import type { CompleteSettings } from "./complete-settings.ts";
import { optimizerOf } from "./training-settings.ts";

/** A model that trains. */
export type TrainableModel = Network | (GraphModel & PrunableModel);

/** Whether a model is of our own layers. */
export function isNetwork(model: TrainableModel): model is Network {
  return "spec" in model;
}

/** What a retrainer reads of the settings of retraining. */
export type TrainerSettings = Pick<
  CompleteSettings,
  | "optimizer"
  | "momentum"
  | "nesterov"
  | "batchSize"
  | "weightDecay"
  | "labelSmoothing"
  | "cropPadding"
  | "flip"
  | "soup"
  | "averageLast"
>;

/** Makes the retrainer, of several trainings and over several epochs where a mean was asked for. @throws ERR_USAGE for settings that an ONNX graph has no use for, ERR_OPERATOR */
export function retrainerOf(model: TrainableModel, spec: RetrainerSpec): Retrainer {
  const { soup: members, averageLast } = spec.settings;
  const plain = plainRetrainer(model, spec);
  const smooth = averageLast === undefined ? plain : averaged(plain, averageLast);
  if (members === undefined) return smooth;
  return soup(smooth, members, spec.membersApart ? { trainMember: spec.membersApart(smooth) } : {});
}

interface RetrainerSpec {
  readonly data: Dataset;
  readonly task: Task;
  readonly settings: TrainerSettings;
  readonly splits: DatasetSplits;
  /** What trains the members of a soup elsewhere; told what would train them here, whose model is the dense one still. Default: they are trained here. */
  readonly membersApart?: ((retrainer: Retrainer) => TrainMember) | undefined;
}

function plainRetrainer(model: TrainableModel, spec: RetrainerSpec): Retrainer {
  const { data, task, settings, splits } = spec;
  const { batchSize, weightDecay, labelSmoothing, cropPadding, flip } = settings;
  const common = {
    data,
    task,
    batchSize,
    optimizer: optimizerOf(settings),
    weightDecay,
  };
  if (isNetwork(model)) {
    const changes = cropPadding > 0 || flip ? { augmentation: augmentationOf(settings, splits) } : {};
    return createRetrainer(model, { ...common, labelSmoothing, ...changes });
  }
  assertKnownOperators(model, "--retrain");
  const unused = labelSmoothing > 0 ? "--label-smoothing" : cropPadding > 0 ? "--crop-padding" : flip ? "--flip" : "";
  if (unused)
    throw flagWithoutEffect({ flag: unused, reason: `${model.name} is an ONNX graph, which trains without it` });
  return createGraphRetrainer(model, common);
}
