/** Names of optimizers and learning rates, and what they stand for. */
import { constant, cosine, type LearningRate, type OptimizerSpec, oneCycle, stepwise } from "@secateur/nn";
import { flagWithoutEffect } from "../../errors.ts";

export const optimizerNames = ["sgd", "adam", "adamw"] as const;
export const rateNames = ["one-cycle", "cosine", "step", "constant"] as const;

export type OptimizerName = (typeof optimizerNames)[number];
export type RateName = (typeof rateNames)[number];

/** An optimizer and its learning rate, as far as they were asked for. */
export interface OptimizerSettings {
  readonly optimizer?: (typeof optimizerNames)[number];
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly schedule?: (typeof rateNames)[number];
  readonly learningRate?: number;
  readonly labelSmoothing?: number;
}

/** The optimizer that settings ask for. @throws ERR_USAGE for a setting the optimizer does not have */
export function optimizerOf({
  optimizer = trainDefaults.optimizer,
  momentum,
  nesterov,
}: OptimizerSettings): OptimizerSpec {
  if (optimizer === "sgd") {
    return { kind: "sgd", ...(momentum === undefined ? {} : { momentum }), nesterov: nesterov === true };
  }
  const flag = momentum !== undefined ? "--momentum" : nesterov ? "--nesterov" : undefined;
  if (flag !== undefined) throw flagWithoutEffect({ flag, reason: `${optimizer} does not have it; sgd does` });
  return { kind: optimizer };
}

/** Peak rates where none is given. */
export const peakRates = { sgd: 0.1, adam: 1e-3, adamw: 1e-3 } as const;

/** How a network trains where settings are left out. */
export const trainDefaults: {
  readonly schedule: RateName;
  readonly optimizer: OptimizerName;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
} = {
  schedule: "one-cycle",
  optimizer: "sgd",
  epochs: 10,
  batchSize: 64,
  learningRate: peakRates.sgd,
  momentum: 0.9,
  weightDecay: 5e-4,
};

/** Share of the training split that is held out where something is judged on it. */
export const usualHoldOut = 0.1;

/** The learning rate that settings ask for. */
export function learningRateOf({
  schedule = trainDefaults.schedule,
  learningRate,
  optimizer = trainDefaults.optimizer,
}: OptimizerSettings): LearningRate {
  const peak = learningRate ?? peakRates[optimizer];
  if (schedule === "cosine") return cosine(peak);
  if (schedule === "step") return stepwise(peak);
  if (schedule === "constant") return constant(peak);
  return oneCycle(peak);
}
