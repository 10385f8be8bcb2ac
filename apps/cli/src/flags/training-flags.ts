/** Flags of the optimizer, the learning rate and the targets, and what they stand for. */
import { constant, cosine, type LearningRate, type OptimizerSpec, oneCycle, stepwise } from "@secateur/nn";
import { type Command, Option } from "commander";
import { flagWithoutEffect } from "../errors.ts";
import { numberParser } from "./number.ts";

export const optimizerNames = ["sgd", "adam", "adamw"] as const;
export const rateNames = ["one-cycle", "cosine", "step", "constant"] as const;

export type OptimizerName = (typeof optimizerNames)[number];
export type RateName = (typeof rateNames)[number];

/** As commander hands them over. */
export interface OptimizerFlags {
  readonly optimizer?: (typeof optimizerNames)[number];
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly schedule?: (typeof rateNames)[number];
  readonly learningRate?: number;
  readonly labelSmoothing?: number;
}

/** --optimizer, --nesterov, --schedule, --label-smoothing */
export function addTrainingFlags(command: Command): void {
  command
    .addOption(new Option("--optimizer <name>", "how a gradient becomes a step (default: sgd)").choices(optimizerNames))
    .option("--nesterov", "look ahead along the momentum (sgd only)")
    .addOption(
      new Option(
        "--schedule <name>",
        "how the learning rate goes: one-cycle rises over a tenth of the steps and falls to 0; cosine; step falls tenfold at a half and three quarters; constant (default: one-cycle)",
      ).choices(rateNames),
    )
    .addOption(
      new Option("--label-smoothing <x>", "share of the target spread over all classes (default: 0)").argParser(
        numberParser({
          flag: "--label-smoothing",
          allowed: "a number from 0 to below 1",
          accepts: (value) => value >= 0 && value < 1,
        }),
      ),
    );
}

/** The optimizer of the flags. @throws ERR_USAGE for a setting the optimizer does not have */
export function optimizerOf({ optimizer = "sgd", momentum, nesterov }: OptimizerFlags): OptimizerSpec {
  if (optimizer === "sgd") {
    return { kind: "sgd", ...(momentum === undefined ? {} : { momentum }), nesterov: nesterov === true };
  }
  const flag = momentum !== undefined ? "--momentum" : nesterov ? "--nesterov" : undefined;
  if (flag !== undefined) throw flagWithoutEffect({ flag, reason: `${optimizer} does not have it; sgd does` });
  return { kind: optimizer };
}

/** Peak rates where none is given. */
export const peakRates = { sgd: 0.1, adam: 1e-3, adamw: 1e-3 } as const;

/** The learning rate of the flags. */
export function learningRateOf({
  schedule = "one-cycle",
  learningRate,
  optimizer = "sgd",
}: OptimizerFlags): LearningRate {
  const peak = learningRate ?? peakRates[optimizer];
  if (schedule === "cosine") return cosine(peak);
  if (schedule === "step") return stepwise(peak);
  if (schedule === "constant") return constant(peak);
  return oneCycle(peak);
}
