/** Fills in what the user left open: from the training of the dense network where it is known, else from the defaults of `train`. */
import { completeScheduleOptions } from "@secateur/imp-scheduler";
import type { AnyModel } from "../open/open-any-model.ts";
import type { RetrainSettings } from "./retrain-schema.ts";
import { readRecord, type TrainingRecord } from "./training-record.ts";
import { peakRates, trainDefaults, usualHoldOut } from "./training-settings.ts";

/** What `secateur train` does unless told otherwise: assumed of a network that nothing is known of. */
export const assumedTraining: TrainingRecord = {
  schedule: trainDefaults.schedule,
  learningRate: trainDefaults.learningRate,
  epochs: trainDefaults.epochs,
  optimizer: trainDefaults.optimizer,
  batchSize: trainDefaults.batchSize,
  weightDecay: trainDefaults.weightDecay,
  labelSmoothing: 0,
  cropPadding: 0,
  flip: false,
};

/** How an ONNX graph trains where nothing else is said: it does not say how it was trained, and steps of adam need no rate of their own. */
export const graphTraining: TrainingRecord = {
  schedule: "cosine",
  learningRate: 2e-3,
  epochs: 1,
  optimizer: "adam",
  batchSize: 4,
  weightDecay: 0,
  labelSmoothing: 0,
  cropPadding: 0,
  flip: false,
};

/** How a model was trained, as far as its file says; of an ONNX graph how such train. */
export function recordOf({ own, onnx }: Pick<AnyModel, "own" | "onnx">): TrainingRecord | undefined {
  return own ? readRecord(own.metadata) : onnx && graphTraining;
}

/** Settings with everything decided that decides the result. */
export type CompleteSettings = RetrainSettings &
  Required<
    Pick<
      RetrainSettings,
      "dense" | "optimizer" | "batchSize" | "weightDecay" | "labelSmoothing" | "cropPadding" | "flip"
    >
  >;

/** What the user set before the network's record before the assumption. */
export function completeSettings(spec: {
  settings: RetrainSettings;
  record: TrainingRecord | undefined;
  sparsity: number;
}): CompleteSettings {
  const { settings, sparsity } = spec;
  const record = spec.record ?? assumedTraining;
  const { schedule, learningRate, epochs } = record;
  const optimizer = settings.optimizer ?? record.optimizer;
  // The rates of sgd are a hundred times too high for adam: of an optimizer of another scale only their shape is taken.
  const isOfOtherScale = peakRates[optimizer] !== peakRates[record.optimizer];
  const ownPeak = settings.dense === undefined && isOfOtherScale ? peakRates[optimizer] : undefined;
  const highest = settings.learningRate ?? ownPeak;
  // Momentum is sgd's: a record of adam says nothing about it.
  const momentum = settings.momentum ?? (optimizer === "sgd" ? (record.momentum ?? trainDefaults.momentum) : undefined);
  const nesterov = settings.nesterov ?? (optimizer === "sgd" ? (record.nesterov ?? false) : undefined);
  const scheduleDefaults = completeScheduleOptions({
    ...{ name: settings.schedule, target: sparsity, epochs: settings.epochs },
    options: settings,
  });
  return {
    ...settings,
    ...scheduleDefaults,
    dense: settings.dense ?? { schedule, learningRate, epochs },
    ...(highest === undefined ? {} : { learningRate: highest }),
    optimizer,
    batchSize: settings.batchSize ?? record.batchSize,
    ...(momentum === undefined ? {} : { momentum }),
    ...(nesterov === undefined ? {} : { nesterov }),
    weightDecay: settings.weightDecay ?? record.weightDecay,
    labelSmoothing: settings.labelSmoothing ?? record.labelSmoothing,
    cropPadding: settings.cropPadding ?? record.cropPadding,
    flip: settings.flip ?? record.flip,
    ...(settings.patience === undefined ? {} : { holdOut: settings.holdOut ?? usualHoldOut }),
  };
}
