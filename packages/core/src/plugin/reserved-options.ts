import { optionProperties, type PluginEntry } from "./plugin.ts";

/**
 * Names that options of methods cannot have: flags of the commands that run them, and settings of a run's plan. A user who gives
 * `--examples` means the run's.
 */
export const reservedOptions: readonly string[] = [
  ...[
    "allocation",
    "amplitude",
    "arch",
    "averageLast",
    "batch",
    "batchSize",
    "budget",
    "bytes",
    "calibration",
    "costs",
    "cropPadding",
    "cut",
  ],
  ...["curvature", "curvatureOption", "data", "denseTraining", "distill", "engine", "events", "examples"],
  ...["exclude", "firstOrder", "fix", "flip", "flops", "force", "from", "gradients", "gram", "growth"],
  ...[
    "holdOut",
    "includeFrozen",
    "inputs",
    "inputShape",
    "interval",
    "json",
    "keep",
    "keepDense",
    "kernels",
    "labelSmoothing",
  ],
  ...[
    "layerAllocation",
    "layerBiases",
    "layerDamping",
    "layerLimit",
    "learningRate",
    "lineSearch",
    "map",
    "match",
    "milliseconds",
    "momentum",
    "multipleOf",
    "nesterov",
    "normalize",
  ],
  ...[
    "optimizer",
    "opset",
    "option",
    "out",
    "patience",
    "phaseSchedule",
    "phases",
    "preprocess",
    "profile",
    "quiet",
    "recipe",
  ],
  ...[
    "reestimateBatchNorm",
    "refitBlocks",
    "regrow",
    "report",
    "resume",
    "retrain",
    "retrainEpochs",
    "rewind",
    "ridge",
  ],
  ...["ridgeFactors", "schedule", "scope", "seed", "selector", "solver", "soup", "sparsity", "stages"],
  ...["targetExamples", "targetStages", "task", "temperature", "threads", "tryMagnitude", "units", "updater"],
  ...["weightDecay", "weights"],
  // Where work is done.
  ...["columnShards", "listen", "memory", "queue", "store", "workers"],
];

/** The first option of a method that has a reserved name; options of other kinds are no flags. */
export function reservedOptionOf(entry: PluginEntry): string | undefined {
  if (!["solver", "selector", "saliency", "updater"].includes(entry.kind)) return undefined;
  return Object.keys(optionProperties(entry.options)).find((key) => reservedOptions.includes(key));
}
