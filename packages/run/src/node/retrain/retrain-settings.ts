/** How a run retrains, as data: what stands under "retrain" and "allocation" in a recipe. */
import { nearestName, type ScheduleName, scheduleNames } from "@secateur/core";
import {
  type AllocationOptions,
  type Amplitude,
  allocationNames,
  amplitudes,
  type RetrainingName,
  retrainingNames,
} from "@secateur/imp-scheduler";
import { z } from "zod";
import { badRetrainSetting } from "../../errors.ts";
import { type OptimizerName, optimizerNames, type RateName, rateNames } from "./training-settings.ts";

/** Every way of retraining: the schedules of IMP, and programs that fix sparsities and rates together. */
export type RetrainName = RetrainingName | "gmp" | "gradual" | "bimp";
export const retrainNames: readonly RetrainName[] = [...retrainingNames, "gmp", "gradual", "bimp"];

/** What a recipe says under "retrain"; what is left open comes from the dense training or from defaults. */
export interface RetrainSettings {
  readonly schedule: RetrainName;
  /** Of retraining in all (of bimp: of the whole run), >= 1. */
  readonly epochs: number;
  /** Rounds; "auto": 20 % of the remaining weights each. */
  readonly phases?: number | "auto";
  /** After each round, in place of `phases`. */
  readonly sparsities?: readonly number[];
  readonly phaseSchedule?: ScheduleName;
  /** Of gmp, gradual, bimp: epochs between prunings. */
  readonly interval?: number;
  /** Of bimp: epochs of dense training. */
  readonly budget?: number;
  readonly amplitude?: Amplitude;
  /** Highest rate, in place of the dense training's. */
  readonly learningRate?: number;
  /** How the dense network was trained. */
  readonly dense?: DenseSettings;
  readonly optimizer?: OptimizerName;
  readonly batchSize?: number;
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly weightDecay?: number;
  readonly labelSmoothing?: number;
  readonly cropPadding?: number;
  readonly flip?: boolean;
  /** Checkpoint that kept weights go back to after each pruning. */
  readonly rewind?: string;
  /** Epochs without a lower held-out loss that end a round. */
  readonly patience?: number;
  /** Share of the training split that is held out for it. */
  readonly holdOut?: number;
}

/** The rates of the dense training. */
export interface DenseSettings {
  readonly schedule: RateName;
  readonly learningRate: number;
  readonly epochs: number;
}

/** What a recipe says under "allocation". */
export type AllocationSettings = AllocationOptions;

function retrainSchema(): z.ZodType {
  const above0 = z.number().gt(0);
  const whole = (least: number) => z.int().min(least);
  const fraction = z.number().min(0).lt(1);
  return z.strictObject({
    schedule: z.enum(retrainNames),
    epochs: whole(1).default(10),
    phases: z.union([whole(1), z.literal("auto")]).optional(),
    sparsities: z.array(fraction).min(1).optional(),
    phaseSchedule: z.enum(scheduleNames).optional(),
    interval: whole(1).optional(),
    budget: whole(0).optional(),
    amplitude: z.enum(amplitudes).optional(),
    learningRate: above0.optional(),
    dense: z
      .strictObject({
        schedule: z.enum(rateNames),
        learningRate: above0,
        epochs: whole(1),
      })
      .optional(),
    optimizer: z.enum(optimizerNames).optional(),
    batchSize: whole(1).optional(),
    momentum: fraction.optional(),
    nesterov: z.boolean().optional(),
    weightDecay: z.number().min(0).optional(),
    labelSmoothing: fraction.optional(),
    cropPadding: whole(0).optional(),
    flip: z.boolean().optional(),
    rewind: z.string().min(1).optional(),
    patience: whole(1).optional(),
    holdOut: above0.lt(1).optional(),
  });
}

function allocationSchema(): z.ZodType {
  return z.strictObject({
    method: z.enum(allocationNames).optional(),
    exclude: z.array(z.string().min(1)).optional(),
    limits: z.record(z.string().min(1), z.number().min(0).max(1)).optional(),
  });
}

/** Settings that only some schedules read, and which. */
const readers: Readonly<Record<string, readonly string[]>> = {
  phases: [...retrainingNames, "gradual"],
  sparsities: retrainingNames,
  phaseSchedule: retrainingNames,
  interval: ["gmp", "gradual", "bimp"],
  budget: ["bimp"],
  amplitude: ["bimp"],
  // One rate runs through all of gmp: an interval cut short would make it jump.
  patience: [...retrainingNames, "gradual", "bimp"],
};

/** Settings that are nothing without another one, and which. */
const partners: Readonly<Record<string, string>> = { holdOut: "patience" };

/**
 * Checks the value of "retrain" before anything runs.
 *
 * @param where - what is being judged, a recipe's path or "the flags"
 * @throws ERR_OPTION naming key, what was found and what is allowed
 */
export function parseRetrain(where: string, value: unknown): RetrainSettings {
  const settings = parse({ where, under: "retrain", value, schema: retrainSchema() }) as RetrainSettings;
  for (const [key, names] of Object.entries(readers)) {
    if (!(key in settings) || names.includes(settings.schedule)) continue;
    const found = `it, and the schedule ${settings.schedule} does not read it`;
    throw badRetrainSetting({ where, key: `retrain.${key}`, found, allowed: `only with ${names.join(", ")}` });
  }
  for (const [key, partner] of Object.entries(partners)) {
    if (!(key in settings) || partner in settings) continue;
    throw badRetrainSetting({ where, key: `retrain.${key}`, found: "it alone", allowed: `only with '${partner}'` });
  }
  const { sparsities, phases } = settings;
  if (phases === "auto" && settings.schedule === "gradual") {
    const found = "'auto', and gradual prunes at set epochs";
    throw badRetrainSetting({ where, key: "retrain.phases", found, allowed: "a whole number of at least 1" });
  }
  if (sparsities !== undefined && phases !== undefined && phases !== sparsities.length) {
    const found = `${phases} phases and ${sparsities.length} sparsities`;
    throw badRetrainSetting({ where, key: "retrain.phases", found, allowed: "one of the two, or numbers that agree" });
  }
  if (sparsities !== undefined && settings.phaseSchedule !== undefined) {
    const found = "it beside sparsities, which say how the sparsity grows";
    throw badRetrainSetting({ where, key: "retrain.phaseSchedule", found, allowed: "one of the two" });
  }
  sparsities?.forEach((sparsity, index) => {
    const before = sparsities[index - 1] ?? 0;
    if (sparsity >= before) return;
    const found = `${sparsity} after ${before}`;
    throw badRetrainSetting({ where, key: "retrain.sparsities", found, allowed: "sparsities that never decrease" });
  });
  return settings;
}

/** Checks the value of "allocation". @throws ERR_OPTION */
export function parseAllocation(where: string, value: unknown): AllocationSettings {
  return parse({ where, under: "allocation", value, schema: allocationSchema() }) as AllocationSettings;
}

/** The value as the schema admits it; interfaces and schemas of this file say the same. */
function parse(spec: { where: string; under: string; value: unknown; schema: z.ZodType }): unknown {
  const { where, under, value } = spec;
  const result = spec.schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = [under, ...issue!.path.map(String)].join(".");
  if (issue!.code === "unrecognized_keys") {
    const known = knownKeys(spec.schema, issue!.path);
    const [strange] = issue!.keys;
    const near = nearestName(strange!, known);
    const hint = near === undefined ? "" : `; did you mean '${near}'?`;
    throw badRetrainSetting({
      where,
      key: `${path}.${strange}`,
      found: "a key that does not exist",
      allowed: `one of ${known.join(", ")}${hint}`,
    });
  }
  const found = valueAt(value, issue!.path);
  throw badRetrainSetting({
    where,
    key: path,
    found: found === undefined ? "nothing" : JSON.stringify(found),
    allowed: inWords(issue!),
  });
}

function knownKeys(whole: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let inner: unknown = whole;
  for (const part of path) {
    const shape: Record<string, unknown> = inner instanceof z.ZodObject ? inner.shape : {};
    const next = shape[String(part)];
    inner = next instanceof z.ZodOptional ? next.unwrap() : next;
  }
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let inner = value;
  for (const part of path) inner = (inner as Record<PropertyKey, unknown> | undefined)?.[part];
  return inner;
}

function inWords(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "too_small":
      return issue.origin === "string" || issue.origin === "array"
        ? "at least one"
        : `a number ${issue.inclusive ? "of at least" : "above"} ${issue.minimum}`;
    case "too_big":
      return `a number ${issue.inclusive ? "of at most" : "below"} ${issue.maximum}`;
    case "invalid_value":
      return `one of ${issue.values.map(String).join(", ")}`;
    case "invalid_union":
      return "a whole number of at least 1, or 'auto'";
    case "invalid_type":
      return issue.expected === "int" ? "a whole number" : articled(issue.expected);
    default:
      return issue.message;
  }
}

function articled(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}
