/**
 * Everything that may stand under "retrain" and "allocation" in a recipe, once: types, flags, help and defaults are made of it. Settings of single
 * schedules stand in the options of these, in their plugin's manifest.
 */
import { type EntryOf, optionProperties } from "@secateur/core";
import type { AllocationOptions, BimpOptions, ImpOptions } from "@secateur/imp-scheduler";
import imp from "@secateur/imp-scheduler/plugin";
import { z } from "zod";
import type { OptionProperty } from "../../plugins/option-schema.ts";
import {
  type OptimizerName,
  optimizerNames,
  type RateName,
  rateNames,
  trainDefaults,
  usualHoldOut,
} from "./training-settings.ts";

const above0 = z.number().gt(0);
const fraction = z.number().min(0).lt(1);
const whole = (least: number) => z.int().min(least);
/** More than anybody waits for: a slip. */
const mostEpochs = 1_000_000;

/** The rates of the dense training. */
export interface DenseSettings {
  readonly schedule: RateName;
  readonly learningRate: number;
  readonly epochs: number;
}

/** The settings that are the same for every schedule; what each is for stands in its schema. */
interface CommonSettings {
  readonly schedule: string;
  readonly epochs: number;
  readonly dense?: DenseSettings;
  readonly learningRate?: number;
  readonly optimizer?: OptimizerName;
  readonly batchSize?: number;
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly weightDecay?: number;
  readonly labelSmoothing?: number;
  readonly cropPadding?: number;
  readonly flip?: boolean;
  readonly rewind?: string;
  readonly soup?: number;
  readonly averageLast?: number;
  readonly patience?: number;
  readonly holdOut?: number;
}

/** A type whose keys may be missing, but not undefined. */
type Given<T> = { readonly [K in keyof T]: Exclude<T[K], undefined> };

/**
 * What a recipe says under "retrain"; what is left open comes from the dense training or from defaults. Further keys are options of a
 * schedule that a plugin brought.
 */
export type RetrainSettings = CommonSettings & Given<ImpOptions & BimpOptions>;

/** A schema for every key of a type, and for no other: the compiler refuses one that says something else. */
type ShapeOf<T> = { readonly [K in keyof T]-?: z.ZodType<T[K] | (undefined extends T[K] ? undefined : never)> };

/** The settings that are the same for every schedule. */
const commonShape = {
  schedule: z
    .string()
    .describe(
      "train the kept weights after pruning. The learning rate: ft constant and small; lrw as the dense training ended; slr as all of it, in fewer steps; clr a cosine; llr linear to 0 (the safe choice); allr like llr, lower the less was pruned. Or a whole program: gmp cubic sparsity during one training; gradual prunings between restarted cosines; bimp dense training and cycles within one budget. Or the schedule of a plugin; secateur plugins lists them",
    ),
  epochs: whole(1).max(mostEpochs).default(10).describe("epochs of retraining in all (of bimp: of the whole run)"),
  dense: z
    .strictObject({ schedule: z.enum(rateNames), learningRate: above0, epochs: whole(1) })
    .optional()
    .describe(
      `how MODEL was trained, such as one-cycle:0.1:10, which the rates of retraining come from; schedules: ${rateNames.join(", ")} (default: what secateur train wrote into MODEL)`,
    ),
  learningRate: above0.optional().describe("highest rate, in place of the dense training's"),
  optimizer: z
    .enum(optimizerNames)
    .optional()
    .describe("default: that of the dense training; another one's highest rate is as for train"),
  batchSize: whole(1)
    .optional()
    .describe(`examples a step (default: the dense training's, or ${trainDefaults.batchSize})`),
  momentum: fraction.optional().describe(`of sgd (default: the dense training's, or ${trainDefaults.momentum})`),
  nesterov: z.boolean().optional().describe("look ahead along the momentum (sgd only)"),
  weightDecay: z.number().min(0).optional().describe(`default: the dense training's, or ${trainDefaults.weightDecay}`),
  labelSmoothing: fraction.optional().describe("default: the dense training's, or 0"),
  cropPadding: whole(0).optional().describe("pixels that training images are moved by at most"),
  flip: z.boolean().optional().describe("mirror training images at random"),
  rewind: z
    .string()
    .min(1)
    .optional()
    .describe("after each pruning put kept weights back to those of this checkpoint of the same network"),
  soup: whole(2)
    .max(64)
    .optional()
    .describe("in every phase train n copies that see the examples in another order, and go on with their mean"),
  averageLast: whole(1)
    .optional()
    .describe("leave the mean of the network over the last n epochs of every phase (stochastic weight averaging)"),
  patience: whole(1)
    .optional()
    .describe("end a phase when the loss of held-out training examples has not fallen for n epochs, and keep the best"),
  holdOut: above0
    .lt(1)
    .optional()
    .describe(
      `share of the training split that is held out, for --patience and to judge whether a round ends better than it began (default: ${usualHoldOut} with --patience, and for a network that does not say how it was trained)`,
    ),
} satisfies ShapeOf<CommonSettings>;

const common = z.strictObject(commonShape);

/** What a recipe says under "retrain", but for options of its schedule. */
export const retrainSchema: z.ZodObject = common;

/** What a recipe says under "allocation". */
export const allocationSchema: z.ZodType = z.strictObject({
  method: z.string().min(1).optional(),
  exclude: z.array(z.string().min(1)).optional(),
  limits: z.record(z.string().min(1), z.number().min(0).max(1)).optional(),
} satisfies ShapeOf<AllocationOptions>);

/** A flag that is a setting of the retraining. */
export interface RetrainFlag {
  /** Its key in a recipe. */
  readonly key: string;
  /** Its key among a command's options, camel case. */
  readonly option: string;
  readonly property: OptionProperty;
}

/** Keys whose flags have a longer name, since a command has other epochs and schedules. */
const longer: Readonly<Record<string, string>> = {
  schedule: "retrain",
  epochs: "retrainEpochs",
  dense: "denseTraining",
};

/** Keys without a flag here: of recipes only, and those that flags of batch normalisation have as well. */
const without = ["sparsities", "cropPadding", "flip"];

/** The flags of retraining in the order of help: those of every schedule around those of our own. */
export function retrainFlags(): readonly RetrainFlag[] {
  const own = new Map<string, { property: OptionProperty; readers: string[] }>();
  const schedules = imp.entries.filter((entry): entry is EntryOf<"schedule"> => entry.kind === "schedule");
  for (const { name, options } of schedules) {
    for (const [key, property] of Object.entries(optionProperties(options))) {
      const known = own.get(key);
      if (known) known.readers.push(name);
      else own.set(key, { property, readers: [name] });
    }
  }
  const [schedule, epochs, ...rest] = Object.entries(optionProperties(common));
  const ofSchedules = [...own].map(([key, { property, readers }]): readonly [string, OptionProperty] => {
    // Most are of few schedules; the names of those of nearly all would tell nothing.
    const of = readers.length > schedules.length / 2 ? "" : `of ${readers.join(", ")}: `;
    return [key, { ...property, description: `${of}${String(property["description"] ?? "")}` }];
  });
  return [schedule!, epochs!, ...ofSchedules, ...rest]
    .filter(([key]) => !without.includes(key))
    .map(([key, property]) => ({ key, option: longer[key] ?? key, property }));
}
