/** What a training is told, what of it decides the result, and what its file says of it. */
import type { TrainingRule } from "@secateur/core";
import type { AugmentationFlags } from "../../prune/augmentation.ts";
import type { Session } from "../../session.ts";
import type { TrainingRecord } from "../retrain/training-record.ts";
import { type OptimizerSettings, peakRates, trainDefaults } from "../retrain/training-settings.ts";
import type { RuleSettings } from "./training-rules.ts";

/** How to train; what is left out is taken from {@link trainDefaults}. */
export interface TrainSettings extends OptimizerSettings, AugmentationFlags, RuleSettings {
  /** Name of a new network, or of the checkpoint's. */
  readonly arch?: string;
  readonly normalize?: string;
  readonly preprocess?: string;
  /** NAME or NAME:KEY=VALUE,...; default: told from the network and the data. */
  readonly task?: string;
  /** Weights that are zero stay zero. */
  readonly keepZeros?: boolean;
  readonly epochs?: number;
  readonly batchSize?: number;
  readonly weightDecay?: number;
  /** Epochs whose weights are written to files of their own; 0: those at the start. */
  readonly keepEpochs?: readonly number[];
}

/** The settings with the defaults of those that are left out. */
export function withDefaults(settings: TrainSettings): TrainSettings & typeof trainDefaults {
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return { ...trainDefaults, ...Object.fromEntries(given) };
}

/** How the network was trained, for whoever retrains it. */
export function recordOf(settings: TrainSettings): TrainingRecord {
  const { optimizer = "sgd", learningRate, schedule = "one-cycle", momentum } = settings;
  const { epochs, batchSize, weightDecay } = withDefaults(settings);
  return {
    schedule,
    learningRate: learningRate ?? peakRates[optimizer],
    ...{ epochs, batchSize, weightDecay, optimizer },
    ...(optimizer === "sgd"
      ? { momentum: momentum ?? trainDefaults.momentum, nesterov: settings.nesterov === true }
      : {}),
    labelSmoothing: settings.labelSmoothing ?? 0,
    cropPadding: settings.cropPadding ?? 0,
    flip: settings.flip === true,
  };
}

const decisive = [
  ...([
    "normalize",
    "preprocess",
    "task",
    "epochs",
    "batchSize",
    "learningRate",
    "momentum",
    "weightDecay",
    "optimizer",
    "nesterov",
  ] as const),
  ...(["schedule", "labelSmoothing", "cropPadding", "flip"] as const),
] as const;

/** Every setting that decides the result, as JSON. @param spec.data - the DATA argument as it is kept in files */
export function runIdentity(spec: {
  settings: TrainSettings;
  rules: readonly TrainingRule[];
  arch: string;
  data: string;
  modelSha256: string | undefined;
  session: Session;
}): string {
  const { arch, data, modelSha256, session } = spec;
  const rules = spec.rules.map(({ name, settings: own }) => ({ name, settings: own }));
  const ruled = rules.length === 0 ? {} : { rules };
  const settings = [...decisive, "keepZeros"] as const;
  return JSON.stringify({
    ...{ arch, data, modelSha256, seed: session.seed, kernels: session.kernels.name },
    ...Object.fromEntries(settings.map((key) => [key, spec.settings[key]])),
    ...ruled,
  });
}
