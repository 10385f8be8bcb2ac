/** Which settings of training are allowed. */
import { badTrainOption } from "../errors.ts";
import type { TrainOptions } from "./train.ts";

/** @throws ERR_OPTION */
export function assertTrainOptions(options: TrainOptions): void {
  const {
    epochs = 10,
    batchSize = 64,
    momentum = 0.9,
    weightDecay = 0,
    labelSmoothing = 0,
    learningRate,
    optimizer,
    augmentation,
  } = options;
  assertWhole("epochs", epochs, 0);
  assertWhole("batchSize", batchSize, 1);
  assertFraction("momentum", momentum);
  assertFraction("labelSmoothing", labelSmoothing);
  assertWhole("augmentation.cropPadding", augmentation?.cropPadding ?? 0, 0);
  if (!(weightDecay >= 0 && Number.isFinite(weightDecay))) {
    throw badTrainOption("weightDecay", weightDecay, "a finite number of at least 0");
  }
  if (learningRate !== undefined && typeof learningRate !== "function") {
    const allowed =
      "a function of the step, such as constant(0.02), or oneCycle(0.02), which rises to its peak and falls";
    throw badTrainOption("learningRate", learningRate, allowed);
  }
  if (optimizer === undefined) return;
  if (optimizer.kind === "sgd") assertFraction("optimizer.momentum", optimizer.momentum ?? 0.9);
  else for (const beta of optimizer.betas ?? []) assertFraction("optimizer.betas", beta);
}

function assertWhole(option: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least)
    throw badTrainOption(option, value, `a whole number of at least ${least}`);
}

function assertFraction(option: string, value: number): void {
  if (!(value >= 0 && value < 1)) throw badTrainOption(option, value, "a number in [0, 1)");
}
